package sampleapi

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
)

const (
	// Authorization is the header of credentials, in lower case.
	Authorization = "authorization"
	// Redacted stands for the value of a header that is a secret.
	Redacted = "(redacted)"
	// receivedHeader is where an app's answer says what reached it: Received as JSON, in base64url.
	receivedHeader = "x-sample-received"
)

// tell puts into an answer's header what is the whole answer of an API.
func (r Received) tell(header http.Header) {
	encoded, err := json.Marshal(r)
	if err != nil { // texts, and claims that came from JSON
		return
	}
	header.Set(receivedHeader, base64.RawURLEncoding.EncodeToString(encoded))
}

// ReceivedIn is what reached a sample API, as its answer with this body tells. It is nil for the answer of somebody else.
func ReceivedIn(response *http.Response, body []byte) *Received {
	encoded, told := body, response.StatusCode == http.StatusOK
	if header := response.Header.Get(receivedHeader); header != "" {
		decoded, err := base64.RawURLEncoding.DecodeString(header)
		encoded, told = decoded, err == nil
	}
	var received Received
	if !told || json.Unmarshal(encoded, &received) != nil || received.API == "" {
		return nil
	}
	return &received
}
