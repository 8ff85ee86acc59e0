package jose_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-project/sallyport/authz/jose"
)

func TestATokenOfEveryAlgorithmIsReadAndVerified(t *testing.T) {
	for _, a := range jose.Algorithms() {
		t.Run(string(a), func(t *testing.T) {
			token, err := jose.Parse(made(t, a, header(a, `"kid":"one"`, `"typ":"application/AT+JWT"`), goodClaims))
			if err != nil {
				t.Fatal(err)
			}
			if want := (jose.Header{Algorithm: string(a), KeyID: "one", Type: "at+jwt"}); token.Header != want {
				t.Errorf("read %+v, want %+v", token.Header, want)
			}
			if err := token.Verify(keyOf(t, a)); err != nil {
				t.Error(err)
			}
		})
	}
}

// forged is a token made with HMAC, whose secret is what everybody can read.
func forged(secret []byte) string {
	signed := b64(`{"alg":"HS256"}`) + "." + b64(goodClaims)
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(signed))
	return signed + "." + b64(string(mac.Sum(nil)))
}

// publicPEM is the issuer's public key as it is published.
func publicPEM(t *testing.T) []byte {
	der, err := x509.MarshalPKIXPublicKey(testKeys().rsa.Public())
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

func TestATokenInAnotherFormIsRefused(t *testing.T) {
	good := made(t, jose.RS256, header(jose.RS256), goodClaims)
	parts := strings.Split(good, ".")
	for name, c := range map[string]struct {
		token string
		want  jose.Fault
	}{
		"nothing":                       {"", jose.Malformed},
		"no dots":                       {parts[0], jose.Malformed},
		"two parts":                     {parts[0] + "." + parts[1], jose.Malformed},
		"four parts":                    {good + "." + parts[2], jose.Malformed},
		"five parts, encrypted":         {good + "." + parts[2] + "." + parts[2], jose.Malformed},
		"six parts":                     {good + "..." + parts[2], jose.Malformed},
		"no header":                     {"." + parts[1] + "." + parts[2], jose.Malformed},
		"no claims, detached":           {parts[0] + ".." + parts[2], jose.Malformed},
		"no signature":                  {parts[0] + "." + parts[1] + ".", jose.Malformed},
		"JSON serialization":            {fmt.Sprintf(`{"protected":%q,"payload":%q,"signature":%q}`, parts[0], parts[1], parts[2]), jose.Malformed},
		"the scheme with it":            {"Bearer " + good, jose.Malformed},
		"a line feed behind":            {good + "\n", jose.Malformed},
		"a line feed within":            {parts[0][:4] + "\n" + good[4:], jose.Malformed},
		"a line feed in the signature":  {good[:len(good)-8] + "\r\n" + good[len(good)-8:], jose.Malformed},
		"a space before":                {" " + good, jose.Malformed},
		"a NUL behind":                  {good + "\x00", jose.Malformed},
		"a comma and another":           {good + "," + good, jose.Malformed},
		"padding":                       {good + "==", jose.Malformed},
		"padding in the header":         {parts[0] + "=." + parts[1] + "." + parts[2], jose.Malformed},
		"the alphabet of base64":        {strings.NewReplacer("-", "+", "_", "/").Replace(good) + "+/", jose.Malformed},
		"bits that are left over":       {parts[0] + "." + parts[1] + "." + otherEnding(parts[2]), jose.Malformed},
		"bits left over in the claims":  {parts[0] + "." + otherEnding(b64(goodClaims+" ")) + "." + parts[2], jose.Malformed},
		"bits left over in the header":  {otherEnding(b64(header(jose.RS256)+strings.Repeat(" ", 2))) + "." + parts[1] + "." + parts[2], jose.Malformed},
		"a length that nothing has":     {parts[0] + "." + parts[1] + "." + parts[2][:341], jose.Malformed},
		"more than 8 KiB":               {made(t, jose.RS256, header(jose.RS256), `{"exp":1900000000,"x":"`+strings.Repeat("x", 8<<10)+`"}`), jose.TooLarge},
		"a huge one":                    {strings.Repeat("a", 64<<20), jose.TooLarge},
		"dots alone":                    {"..", jose.Malformed},
		"thousands of dots":             {strings.Repeat(".", 8<<10), jose.Malformed},
		"letters that look like others": {strings.Replace(good, "e", "е", 1), jose.Malformed},
	} {
		t.Run(name, func(t *testing.T) { refused(t, c.token, c.want) })
	}
}

// otherEnding is another encoding of the same bytes for those that skip the bits that are left over. The part must leave some.
func otherEnding(part string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	if len(part)%4 == 0 {
		panic("nothing is left over")
	}
	last := strings.IndexByte(alphabet, part[len(part)-1])
	if last < 0 {
		return part
	}
	return part[:len(part)-1] + string(alphabet[last|1])
}

func TestAForgingHeaderIsRefused(t *testing.T) {
	key := `{"kty":"RSA","e":"AQAB","n":"AQAB"}`
	for name, c := range map[string]struct {
		header string
		want   jose.Fault
	}{
		"no algorithm":                      {`{"typ":"JWT"}`, jose.MalformedHeader},
		"none":                              {`{"alg":"none"}`, jose.UnsupportedAlgorithm},
		"None":                              {`{"alg":"None"}`, jose.UnsupportedAlgorithm},
		"nOnE":                              {`{"alg":"nOnE"}`, jose.UnsupportedAlgorithm},
		"an empty algorithm":                {`{"alg":""}`, jose.MalformedHeader},
		"HMAC":                              {`{"alg":"HS256"}`, jose.UnsupportedAlgorithm},
		"small letters":                     {`{"alg":"rs256"}`, jose.UnsupportedAlgorithm},
		"a space behind the name":           {`{"alg":"RS256 "}`, jose.UnsupportedAlgorithm},
		"an encryption's":                   {`{"alg":"RSA-OAEP"}`, jose.UnsupportedAlgorithm},
		"a curve of others":                 {`{"alg":"ES256K"}`, jose.UnsupportedAlgorithm},
		"an algorithm that is a list":       {`{"alg":["RS256"]}`, jose.MalformedHeader},
		"an algorithm that is null":         {`{"alg":null}`, jose.MalformedHeader},
		"a member of another case":          {`{"ALG":"RS256"}`, jose.MalformedHeader},
		"alg twice":                         {`{"alg":"none","alg":"RS256"}`, jose.MalformedHeader},
		"alg twice, once escaped":           {`{"alg":"RS256","\u0061lg":"none"}`, jose.MalformedHeader},
		"kid twice":                         {`{"alg":"RS256","kid":"a","kid":"b"}`, jose.MalformedHeader},
		"a member twice within another":     {`{"alg":"RS256","x":{"y":1,"\u0079":2}}`, jose.MalformedHeader},
		"what is critical":                  {`{"alg":"RS256","crit":["exp"],"exp":1}`, jose.ForbiddenHeader},
		"nothing critical":                  {`{"alg":"RS256","crit":[]}`, jose.ForbiddenHeader},
		"what is critical, escaped":         {`{"alg":"RS256","cri\u0074":["x"],"x":1}`, jose.ForbiddenHeader},
		"a payload as it is":                {`{"alg":"RS256","b64":false,"crit":["b64"]}`, jose.ForbiddenHeader},
		"a payload as it is, uncritically":  {`{"alg":"RS256","b64":false}`, jose.ForbiddenHeader},
		"a key of its own":                  {`{"alg":"RS256","jwk":` + key + `}`, jose.ForbiddenHeader},
		"a key that is null":                {`{"alg":"RS256","jwk":null}`, jose.ForbiddenHeader},
		"certificates of its own":           {`{"alg":"RS256","x5c":["AA=="]}`, jose.ForbiddenHeader},
		"the address of its keys":           {`{"alg":"RS256","jku":"https://evil.example.org/keys"}`, jose.ForbiddenHeader},
		"the address of its certificates":   {`{"alg":"RS256","x5u":"https://evil.example.org/chain"}`, jose.ForbiddenHeader},
		"a compressed payload":              {`{"alg":"RS256","zip":"DEF"}`, jose.ForbiddenHeader},
		"an encrypted payload":              {`{"alg":"RS256","enc":"A128GCM"}`, jose.ForbiddenHeader},
		"another token within":              {`{"alg":"RS256","cty":"JWT"}`, jose.ForbiddenHeader},
		"another token within, long":        {`{"alg":"RS256","cty":"application/jwt"}`, jose.ForbiddenHeader},
		"content of no text":                {`{"alg":"RS256","cty":1}`, jose.MalformedHeader},
		"a kid of no text":                  {`{"alg":"RS256","kid":1}`, jose.MalformedHeader},
		"an empty kid":                      {`{"alg":"RS256","kid":""}`, jose.MalformedHeader},
		"a long kid":                        {`{"alg":"RS256","kid":"` + strings.Repeat("k", 257) + `"}`, jose.MalformedHeader},
		"a kid with a line feed":            {`{"alg":"RS256","kid":"a\nb"}`, jose.MalformedHeader},
		"a kid with a NUL":                  {`{"alg":"RS256","kid":"a\u0000b"}`, jose.MalformedHeader},
		"a kid beyond ASCII":                {`{"alg":"RS256","kid":"schlüssel"}`, jose.MalformedHeader},
		"a type of no text":                 {`{"alg":"RS256","typ":["JWT"]}`, jose.MalformedHeader},
		"a type that folds to another":      {`{"alg":"RS256","typ":"at+jwt` + "\u212a" + `"}`, jose.MalformedHeader},
		"no object":                         {`["RS256"]`, jose.MalformedHeader},
		"a text":                            {`"RS256"`, jose.MalformedHeader},
		"null":                              {`null`, jose.MalformedHeader},
		"nothing in it":                     {` `, jose.MalformedHeader},
		"two objects":                       {`{"alg":"RS256"}{"alg":"none"}`, jose.MalformedHeader},
		"something behind":                  {`{"alg":"RS256"} x`, jose.MalformedHeader},
		"a NUL behind":                      {"{\"alg\":\"RS256\"}\x00", jose.MalformedHeader},
		"a byte order mark":                 {"\ufeff" + `{"alg":"RS256"}`, jose.MalformedHeader},
		"a comma too many":                  {`{"alg":"RS256",}`, jose.MalformedHeader},
		"a comment":                         {`{"alg":"RS256"/**/}`, jose.MalformedHeader},
		"names without quotes":              {`{alg:"RS256"}`, jose.MalformedHeader},
		"single quotes":                     {`{'alg':'RS256'}`, jose.MalformedHeader},
		"an end that is missing":            {`{"alg":"RS256"`, jose.MalformedHeader},
		"bytes that are not UTF-8":          {"{\"alg\":\"RS256\",\"x\":\"\xff\"}", jose.MalformedHeader},
		"UTF-8 longer than it has to be":    {"{\"alg\":\"RS256\",\"x\":\"\xc0\xaf\"}", jose.MalformedHeader},
		"half of a surrogate pair":          {`{"alg":"RS256","x":"\ud800"}`, jose.MalformedHeader},
		"many objects within one another":   {`{"alg":"RS256","x":` + strings.Repeat(`{"x":`, 16) + `1` + strings.Repeat(`}`, 16) + `}`, jose.MalformedHeader},
		"thousands of lists in one another": {`{"alg":"RS256","x":` + strings.Repeat(`[`, 4000) + `}`, jose.MalformedHeader},
	} {
		t.Run(name, func(t *testing.T) { refused(t, made(t, jose.RS256, c.header, goodClaims), c.want) })
	}
	t.Run("HMAC by the public key", func(t *testing.T) {
		for _, secret := range [][]byte{publicPEM(t), testKeys().rsa.N.Bytes(), {}} {
			refused(t, forged(secret), jose.UnsupportedAlgorithm)
		}
	})
}

func TestAHeaderThatForgesNothingIsTaken(t *testing.T) {
	for name, c := range map[string]struct {
		header string
		want   jose.Header
	}{
		"the algorithm alone":         {`{"alg":"RS256"}`, jose.Header{Algorithm: "RS256"}},
		"line breaks and spaces":      {"{\"typ\":\"JWT\",\r\n \"alg\" : \"RS256\"\t}\n", jose.Header{Algorithm: "RS256", Type: "jwt"}},
		"escaped names":               {`{"\u0061lg":"\u0052S256"}`, jose.Header{Algorithm: "RS256"}},
		"thumbprints of certificates": {`{"alg":"RS256","x5t":"c2hhMQ","x5t#S256":"c2hhMjU2","kid":"c2hhMQ"}`, jose.Header{Algorithm: "RS256", KeyID: "c2hhMQ"}},
		"a path as a kid":             {`{"alg":"RS256","kid":"../../dev/null"}`, jose.Header{Algorithm: "RS256", KeyID: "../../dev/null"}},
		"SQL as a kid":                {`{"alg":"RS256","kid":"' OR 1=1 --"}`, jose.Header{Algorithm: "RS256", KeyID: "' OR 1=1 --"}},
		"a long kid":                  {`{"alg":"RS256","kid":"` + strings.Repeat("k", 256) + `"}`, jose.Header{Algorithm: "RS256", KeyID: strings.Repeat("k", 256)}},
		"a type in full":              {`{"alg":"RS256","typ":"application/at+jwt"}`, jose.Header{Algorithm: "RS256", Type: "at+jwt"}},
		"a type of two slashes":       {`{"alg":"RS256","typ":"application/a/b"}`, jose.Header{Algorithm: "RS256", Type: "application/a/b"}},
		"content that is no token":    {`{"alg":"RS256","cty":"json"}`, jose.Header{Algorithm: "RS256"}},
		"members nobody knows":        {`{"alg":"RS256","ver":2,"x":{"y":[true,null,1.5]},"x2":{"y":1}}`, jose.Header{Algorithm: "RS256"}},
		"objects within one another":  {`{"alg":"RS256","x":` + strings.Repeat(`{"x":`, 15) + `1` + strings.Repeat(`}`, 15) + `}`, jose.Header{Algorithm: "RS256"}},
	} {
		t.Run(name, func(t *testing.T) {
			token, err := jose.Parse(made(t, jose.RS256, c.header, goodClaims))
			if err != nil {
				t.Fatal(err)
			}
			if token.Header != c.want {
				t.Errorf("read %+v, want %+v", token.Header, c.want)
			}
			if err := token.Verify(keyOf(t, jose.RS256)); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAKeyVerifiesByItsOwnAlgorithmsAlone(t *testing.T) {
	fits := func(signedBy, with jose.Algorithm) bool { return testKeys().of(signedBy) == testKeys().of(with) }
	for _, signedBy := range jose.Algorithms() {
		token, err := jose.Parse(made(t, signedBy, header(signedBy), goodClaims))
		if err != nil {
			t.Fatal(err)
		}
		for _, with := range jose.Algorithms() {
			if signedBy == jose.EdDSA || with == jose.EdDSA {
				continue // ed25519.PrivateKey cannot be compared
			}
			switch err := token.Verify(keyOf(t, with)); {
			case fits(signedBy, with) && err != nil:
				t.Errorf("%s by the key of %s: %v", signedBy, with, err)
			case !fits(signedBy, with):
				faulty(t, err, jose.WrongKey)
			}
		}
		faulty(t, token.Verify(jose.Key{}), jose.WrongKey)
	}
	t.Run("EdDSA", func(t *testing.T) {
		token, err := jose.Parse(made(t, jose.EdDSA, header(jose.EdDSA), goodClaims))
		if err != nil {
			t.Fatal(err)
		}
		faulty(t, token.Verify(keyOf(t, jose.ES256)), jose.WrongKey)
		faulty(t, token.Verify(keyOf(t, jose.RS256)), jose.WrongKey)
	})
	t.Run("a key that its set keeps for another algorithm", func(t *testing.T) {
		set := keySet(t, jwk(t, testKeys().rsa.Public(), map[string]any{"alg": "PS256", "kid": "one"}))
		token, err := jose.Parse(made(t, jose.RS256, header(jose.RS256, `"kid":"one"`), goodClaims))
		if err != nil {
			t.Fatal(err)
		}
		faulty(t, token.Verify(set.Find("one", jose.PS256)[0]), jose.WrongKey)
	})
	t.Run("the name of an algorithm over another's signature", func(t *testing.T) {
		for _, pair := range [][2]jose.Algorithm{{jose.RS256, jose.PS256}, {jose.PS256, jose.RS256}, {jose.RS256, jose.RS512}, {jose.PS384, jose.PS512}} {
			token, err := jose.Parse(made(t, pair[0], header(pair[1]), goodClaims))
			if err != nil {
				t.Fatal(err)
			}
			faulty(t, token.Verify(keyOf(t, pair[1])), jose.BadSignature)
		}
	})
}

func TestASignatureThatTheKeyDidNotMakeIsRefused(t *testing.T) {
	for _, a := range jose.Algorithms() {
		good := made(t, a, header(a), goodClaims)
		parts := strings.Split(good, ".")
		length := len(parts[2]) * 3 / 4
		for name, token := range map[string]string{
			"another token's":       parts[0] + "." + b64(strings.Replace(goodClaims, "mapps", "nsp", 1)) + "." + parts[2],
			"another header's":      b64(header(a, `"kid":"two"`)) + "." + parts[1] + "." + parts[2],
			"zeros":                 parts[0] + "." + parts[1] + "." + b64(strings.Repeat("\x00", length)),
			"one byte":              parts[0] + "." + parts[1] + "." + b64("x"),
			"short by one":          parts[0] + "." + parts[1] + "." + b64(strings.Repeat("x", length-1)),
			"long by one":           parts[0] + "." + parts[1] + "." + b64(strings.Repeat("x", length+1)),
			"as long as a token is": parts[0] + "." + parts[1] + "." + b64(strings.Repeat("x", 4000)),
			"ones":                  parts[0] + "." + parts[1] + "." + b64(strings.Repeat("\xff", length)),
		} {
			t.Run(string(a)+", "+name, func(t *testing.T) {
				parsed, err := jose.Parse(token)
				if err != nil {
					t.Fatal(err)
				}
				faulty(t, parsed.Verify(keyOf(t, a)), jose.BadSignature)
			})
		}
	}
	t.Run("another key's", func(t *testing.T) {
		token, err := jose.Parse(made(t, jose.RS256, header(jose.RS256), goodClaims))
		if err != nil {
			t.Fatal(err)
		}
		other := keySet(t, jwk(t, testKeys().otherRSA.Public(), nil)).Find("", jose.RS256)[0]
		faulty(t, token.Verify(other), jose.BadSignature)
	})
}

func TestAnErrorQuotesNothingOfTheToken(t *testing.T) {
	const canary = "CANARY"
	for _, token := range []string{
		canary, "." + canary, canary + "." + canary + "." + canary, canary + "\n",
		made(t, jose.RS256, `{"alg":"`+canary+`"}`, goodClaims),
		made(t, jose.RS256, `{"alg":"RS256","`+canary+`":1,"`+canary+`":2}`, goodClaims),
		made(t, jose.RS256, `{"alg":"RS256","kid":"`+canary+`\n"}`, goodClaims),
		made(t, jose.RS256, `{"alg":"RS256","crit":["`+canary+`"]}`, goodClaims),
		made(t, jose.RS256, `{"alg":"RS256"}`, `{"exp":"`+canary+`"}`),
		made(t, jose.RS256, `{"alg":"RS256"}`, `{"iss":["`+canary+`"]}`),
		made(t, jose.RS256, `{"alg":"RS256"}`, `{"sub":"`+canary+`"}`),
		made(t, jose.RS256, `{"alg":"RS256"}`, canary),
	} {
		_, err := jose.Parse(token)
		if err == nil {
			t.Fatalf("%q was accepted", token)
		}
		if strings.Contains(err.Error(), canary) || strings.Contains(err.Error(), b64(canary)) {
			t.Errorf("%q quotes the token", err)
		}
	}
}

func TestEveryFaultHasAName(t *testing.T) {
	var names []string
	for f := jose.Malformed; f <= jose.BadSignature; f++ {
		names = append(names, f.String())
	}
	slices.Sort(names)
	if slices.Contains(names, "") || slices.Contains(names, "unknown") || len(slices.Compact(names)) != int(jose.BadSignature) {
		t.Errorf("the names are %q", names)
	}
	if name := jose.Fault(99).String(); name != "unknown" {
		t.Errorf("a fault that is none is called %q", name)
	}
}

// refused fails the test unless a token cannot be read, for this fault.
func refused(t *testing.T, token string, want jose.Fault) {
	t.Helper()
	parsed, err := jose.Parse(token)
	if parsed != nil {
		t.Errorf("a token was given with the error %v", err)
	}
	faulty(t, err, want)
}

// faulty fails the test unless an error is of this fault, and says something.
func faulty(t *testing.T, err error, want jose.Fault) {
	t.Helper()
	var refusal *jose.Error
	if !errors.As(err, &refusal) {
		t.Fatalf("got the error %v, want a %s", err, want)
	}
	if refusal.Fault != want || refusal.Detail == "" {
		t.Errorf("refused as %s (%s), want %s", refusal.Fault, refusal.Detail, want)
	}
}
