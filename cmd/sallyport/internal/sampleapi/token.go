package sampleapi

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
)

// TokenClaims are what the bearer token in an Authorization header says of itself. Nobody verifies it here: a sample API shows
// what it was sent. It is nil where there is no token, or one that says nothing by itself. The signature is not looked at and
// not kept.
func TokenClaims(authorization string) map[string]any {
	scheme, token, _ := strings.Cut(authorization, " ")
	parts := strings.Split(token, ".")
	if !strings.EqualFold(scheme, "bearer") || len(parts) != 3 {
		return nil
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return nil
	}
	decoder := json.NewDecoder(bytes.NewReader(payload))
	decoder.UseNumber()
	var claims map[string]any
	if decoder.Decode(&claims) != nil {
		return nil
	}
	return claims
}
