package jose_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport-project/sallyport/authz/jose"
)

// claims are those of a token, with exp put in front of these.
func claims(t *testing.T, more string) *jose.Claims {
	t.Helper()
	token, err := jose.Parse(made(t, jose.EdDSA, header(jose.EdDSA), `{"exp":1900000000,`+more+`}`))
	if err != nil {
		t.Fatal(err)
	}
	return token.Claims
}

func TestClaimsOfTheWrongTypeAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		claims string
		want   jose.Fault
	}{
		"no exp":                     {`{"iss":"https://id.example.org"}`, jose.NoExpiry},
		"nothing":                    {`{}`, jose.NoExpiry},
		"exp as a text":              {`{"exp":"1900000000"}`, jose.MalformedClaims},
		"exp that is null":           {`{"exp":null}`, jose.MalformedClaims},
		"exp that is true":           {`{"exp":true}`, jose.MalformedClaims},
		"exp as a list":              {`{"exp":[1900000000]}`, jose.MalformedClaims},
		"exp in milliseconds":        {`{"exp":1900000000000}`, jose.MalformedClaims},
		"exp without end":            {`{"exp":1e300}`, jose.MalformedClaims},
		"exp of more than a float":   {`{"exp":1e400}`, jose.MalformedClaims},
		"exp of more than 64 bits":   {`{"exp":99999999999999999999}`, jose.MalformedClaims},
		"exp before 1970":            {`{"exp":-1}`, jose.MalformedClaims},
		"exp a little before 1970":   {`{"exp":-0.5}`, jose.MalformedClaims},
		"exp in hex":                 {`{"exp":0x71409400}`, jose.MalformedClaims},
		"exp with a plus":            {`{"exp":+1900000000}`, jose.MalformedClaims},
		"exp with a zero in front":   {`{"exp":01900000000}`, jose.MalformedClaims},
		"exp that is no number":      {`{"exp":NaN}`, jose.MalformedClaims},
		"exp that is infinite":       {`{"exp":Infinity}`, jose.MalformedClaims},
		"exp twice":                  {`{"exp":1,"exp":1900000000}`, jose.MalformedClaims},
		"exp twice, once escaped":    {`{"exp":1,"\u0065xp":1900000000}`, jose.MalformedClaims},
		"a claim twice, deep within": {`{"exp":1900000000,"a":[{"b":{"c":1,"c":2}}]}`, jose.MalformedClaims},
		"nbf as a text":              {`{"exp":1900000000,"nbf":"1800000000"}`, jose.MalformedClaims},
		"iat as a text":              {`{"exp":1900000000,"iat":"1800000000"}`, jose.MalformedClaims},
		"iss as a list":              {`{"exp":1900000000,"iss":["https://id.example.org"]}`, jose.MalformedClaims},
		"iss that is empty":          {`{"exp":1900000000,"iss":""}`, jose.MalformedClaims},
		"sub as a number":            {`{"exp":1900000000,"sub":1}`, jose.MalformedClaims},
		"sub that is null":           {`{"exp":1900000000,"sub":null}`, jose.MalformedClaims},
		"sub with a NUL":             {`{"exp":1900000000,"sub":"mapps\u0000nsp"}`, jose.MalformedClaims},
		"sub with a line feed":       {`{"exp":1900000000,"sub":"mapps\r\nx-role: admin"}`, jose.MalformedClaims},
		"sub with DEL":               {`{"exp":1900000000,"sub":"mapps\u007f"}`, jose.MalformedClaims},
		"jti as a number":            {`{"exp":1900000000,"jti":1}`, jose.MalformedClaims},
		"sid as an object":           {`{"exp":1900000000,"sid":{}}`, jose.MalformedClaims},
		"client_id as a list":        {`{"exp":1900000000,"client_id":["mapps"]}`, jose.MalformedClaims},
		"aud as a number":            {`{"exp":1900000000,"aud":1}`, jose.MalformedClaims},
		"aud as an object":           {`{"exp":1900000000,"aud":{"vessels":true}}`, jose.MalformedClaims},
		"aud that is null":           {`{"exp":1900000000,"aud":null}`, jose.MalformedClaims},
		"aud that is empty":          {`{"exp":1900000000,"aud":""}`, jose.MalformedClaims},
		"aud without any":            {`{"exp":1900000000,"aud":[]}`, jose.MalformedClaims},
		"aud with an empty one":      {`{"exp":1900000000,"aud":["vessels",""]}`, jose.MalformedClaims},
		"aud of lists":               {`{"exp":1900000000,"aud":[["vessels"]]}`, jose.MalformedClaims},
		"aud of texts and numbers":   {`{"exp":1900000000,"aud":["vessels",1]}`, jose.MalformedClaims},
		"cnf as a text":              {`{"exp":1900000000,"cnf":"x5t#S256"}`, jose.MalformedClaims},
		"cnf that is null":           {`{"exp":1900000000,"cnf":null}`, jose.MalformedClaims},
		"a list":                     {`[{"exp":1900000000}]`, jose.MalformedClaims},
		"another token":              {b64(header(jose.RS256)) + "." + b64(goodClaims) + ".x", jose.MalformedClaims},
		"something behind":           {`{"exp":1900000000}{"exp":1}`, jose.MalformedClaims},
		"objects without end":        {`{"exp":1900000000,"a":` + strings.Repeat(`{"a":`, 900), jose.MalformedClaims},
		"bytes that are not UTF-8":   {"{\"exp\":1900000000,\"sub\":\"\xff\"}", jose.MalformedClaims},
	} {
		t.Run(name, func(t *testing.T) { refused(t, made(t, jose.EdDSA, header(jose.EdDSA), c.claims), c.want) })
	}
}

func TestRegisteredClaimsAreRead(t *testing.T) {
	at := func(seconds int64) time.Time { return time.Unix(seconds, 0).UTC() }
	type read struct {
		Issuer, Subject, ID, SessionID, ClientID string
		Audience                                 []string
		Expires, NotBefore, IssuedAt             time.Time
		Confirmation                             map[string]any
	}
	for name, c := range map[string]struct {
		claims string
		want   read
	}{
		"exp alone": {`"x":1`, read{}},
		"all": {
			`"iss":"https://id.example.org","sub":"mapps","jti":"j","sid":"s","client_id":"c","aud":["a","b"],"nbf":1,"iat":2,"cnf":{"x5t#S256":"t"}`,
			read{Issuer: "https://id.example.org", Subject: "mapps", ID: "j", SessionID: "s", ClientID: "c", Audience: []string{"a", "b"},
				NotBefore: at(1), IssuedAt: at(2), Confirmation: map[string]any{"x5t#S256": "t"}},
		},
		"one audience":           {`"aud":"vessels"`, read{Audience: []string{"vessels"}}},
		"nbf of 1970":            {`"nbf":0`, read{NotBefore: at(0)}},
		"a fraction of a second": {`"nbf":1800000000.5`, read{NotBefore: at(1800000000).Add(time.Second / 2)}},
		"an exponent":            {`"nbf":1.8e9,"iat":18E+8`, read{NotBefore: at(1800000000), IssuedAt: at(1800000000)}},
		"names beyond ASCII":     {`"sub":"Zo\u00eb \ud83d\ude80"`, read{Subject: "Zoë 🚀"}},
		"the end of time":        {`"nbf":253402300799`, read{NotBefore: time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)}},
	} {
		t.Run(name, func(t *testing.T) {
			got := claims(t, c.claims)
			c.want.Expires = at(1900000000)
			if diff := cmp.Diff(c.want, read{got.Issuer, got.Subject, got.ID, got.SessionID, got.ClientID, got.Audience,
				got.Expires, got.NotBefore, got.IssuedAt, got.Confirmation}); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestOtherClaimsAreFoundByTheirPath(t *testing.T) {
	c := claims(t, `"scope":"read  write ","realm_access":{"roles":["guard","warden"],"n":1},"https://example.org/roles":["guard"],
		"a.b":{"c.d":"x"},"mixed":["a",1],"none":[],"no":null,"blank":"","tab":"a\tb","number":7,"list":[{"roles":["x"]}]`)
	for _, l := range []struct {
		path  []string
		value any
		there bool
		texts []string
		ok    bool
	}{
		{path: []string{"scope"}, value: "read  write ", there: true, texts: []string{"read", "write"}, ok: true},
		{path: []string{"realm_access", "roles"}, value: []any{"guard", "warden"}, there: true, texts: []string{"guard", "warden"}, ok: true},
		{path: []string{"https://example.org/roles"}, value: []any{"guard"}, there: true, texts: []string{"guard"}, ok: true},
		{path: []string{"a.b", "c.d"}, value: "x", there: true, texts: []string{"x"}, ok: true},
		{path: []string{"realm_access", "n"}, value: int64(1), there: true},
		{path: []string{"mixed"}, value: []any{"a", int64(1)}, there: true},
		{path: []string{"none"}, value: []any{}, there: true, texts: []string{}, ok: true},
		{path: []string{"blank"}, value: "", there: true, texts: []string{}, ok: true},
		{path: []string{"tab"}, value: "a\tb", there: true, texts: []string{"a\tb"}, ok: true},
		{path: []string{"no"}, there: true},
		{path: []string{"number"}, value: int64(7), there: true},
		{path: []string{"a", "b"}},
		{path: []string{"scope", "x"}},
		{path: []string{"list", "roles"}},
		{path: []string{"realm_access", "roles", "0"}},
		{path: []string{"absent"}},
		{path: []string{"absent", "roles"}},
		{path: []string{}},
		{},
	} {
		value, there := c.Lookup(l.path)
		if diff := cmp.Diff(l.value, value); diff != "" || there != l.there {
			t.Errorf("%q: found %v, %s", l.path, there, diff)
		}
		texts, ok := c.Strings(l.path)
		if diff := cmp.Diff(l.texts, texts); diff != "" || ok != l.ok {
			t.Errorf("texts of %q: found %v, %s", l.path, ok, diff)
		}
	}
	if !c.Has("exp") || !c.Has("no") || c.Has("roles") || c.Has("") {
		t.Error("Has tells of a claim that is not there, or does not of one that is")
	}
	if exp := c.All()["exp"]; exp != int64(1900000000) {
		t.Errorf("exp is the %T %v", exp, exp)
	}
}

func TestAnIntrospectionsClaimsAreReadAsStrictly(t *testing.T) {
	got, err := jose.ParseClaims([]byte(`{"active":true,"sub":"mapps","scope":"read"}`))
	if err != nil || got.Subject != "mapps" || !got.Expires.IsZero() || got.All()["active"] != true {
		t.Errorf("read %+v, %v", got, err)
	}
	for name, c := range map[string]struct {
		answer string
		want   jose.Fault
	}{
		"twice active":      {`{"active":false,"active":true}`, jose.MalformedClaims},
		"exp as a text":     {`{"active":true,"exp":"1900000000"}`, jose.MalformedClaims},
		"nothing":           {``, jose.MalformedClaims},
		"more than 64 KiB":  {`{"active":true,"x":"` + strings.Repeat("x", 64<<10) + `"}`, jose.TooLarge},
		"a page of a proxy": {`<html>`, jose.MalformedClaims},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := jose.ParseClaims([]byte(c.answer))
			faulty(t, err, c.want)
		})
	}
}
