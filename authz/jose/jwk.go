package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"slices"
)

// private are the members that only private and symmetric keys have (RFC 7518 section 6, RFC 8037 section 2).
var private = []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"}

// readKey makes a key of a JWK, or says why it cannot be used.
func readKey(members map[string]any) (Key, error) {
	for _, name := range private {
		if _, there := members[name]; there {
			return Key{}, errors.New("it is private or symmetric: whoever has read the set can sign by it; replace it")
		}
	}
	texts, err := readTexts(members, "kty", "use", "alg", "kid", "crv", "x", "y", "n", "e")
	if err != nil {
		return Key{}, err
	}
	if err := checkUse(members, texts); err != nil {
		return Key{}, err
	}
	key := Key{id: texts["kid"]}
	if key.public, err = readPublic(texts); err != nil {
		return Key{}, err
	}
	if err := checkPublic(key.public); err != nil {
		return Key{}, err
	}
	if name, there := texts["alg"]; there {
		if key.algorithm, err = ParseAlgorithm(name); err != nil {
			return Key{}, err
		}
		if !goesWith(key.public, key.algorithm) {
			return Key{}, errors.New("its algorithm (alg) does not go with its type")
		}
	}
	key.thumbprint = thumbprint(key.public)
	return key, nil
}

// readTexts are those of the named members that are there. All of them have to be texts.
func readTexts(members map[string]any, names ...string) (map[string]string, error) {
	texts := make(map[string]string, len(names))
	for _, name := range names {
		value, there := members[name]
		if !there {
			continue
		}
		text, ok := value.(string)
		if !ok {
			return nil, fmt.Errorf("its %s is not a text", name)
		}
		texts[name] = text
	}
	return texts, nil
}

// checkUse says why a key is not for verifying tokens, or could not be named by one (RFC 7517 sections 4.2, 4.3 and 4.5).
func checkUse(members map[string]any, texts map[string]string) error {
	if use, there := texts["use"]; there && use != "sig" {
		return errors.New("it is not for signatures (use)")
	}
	if operations, there := members["key_ops"]; there {
		list, ok := operations.([]any)
		if !ok || !slices.Contains(list, any("verify")) {
			return errors.New("it is not for verifying (key_ops)")
		}
	}
	if kid, there := texts["kid"]; there && !isPrintable(kid, maxKeyIDLength) {
		return errors.New("its kid is empty, longer than 256 bytes, or has characters that are not printable ASCII")
	}
	return nil
}

// readPublic reads the numbers of a key. They are not checked yet, but for the point of an EC key.
func readPublic(texts map[string]string) (crypto.PublicKey, error) {
	switch texts["kty"] {
	case "RSA":
		return readRSA(texts)
	case "EC":
		return readEC(texts)
	case "OKP":
		if texts["crv"] != "Ed25519" {
			return nil, errors.New("its curve (crv) is not Ed25519")
		}
		x, ok := decode(texts["x"])
		if !ok || len(x) != ed25519.PublicKeySize {
			return nil, errors.New("its x is not the 32 bytes of an Ed25519 key in base64url")
		}
		return ed25519.PublicKey(x), nil
	}
	return nil, errors.New("its type (kty) is none of RSA, EC and OKP")
}

// readRSA takes n with zeros in front too, which RFC 7518 section 6.3.1.1 says are met.
func readRSA(texts map[string]string) (*rsa.PublicKey, error) {
	n, ok := decode(texts["n"])
	if !ok || len(n) == 0 {
		return nil, errors.New("its n is not a number in base64url")
	}
	e, ok := decode(texts["e"])
	if !ok || len(e) == 0 || len(e) > 4 {
		return nil, errors.New("its e is not a number of at most 4 bytes in base64url")
	}
	return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}, nil
}

func readEC(texts map[string]string) (*ecdsa.PublicKey, error) {
	var curve elliptic.Curve
	switch texts["crv"] {
	case "P-256":
		curve = elliptic.P256()
	case "P-384":
		curve = elliptic.P384()
	case "P-521":
		curve = elliptic.P521()
	default:
		return nil, errors.New("its curve (crv) is none of P-256, P-384 and P-521")
	}
	size := (curve.Params().BitSize + 7) / 8
	x, okX := decode(texts["x"])
	y, okY := decode(texts["y"])
	if !okX || !okY || len(x) != size || len(y) != size {
		return nil, fmt.Errorf("its x and y are not numbers of %d bytes in base64url", size)
	}
	public, err := ecdsa.ParseUncompressedPublicKey(curve, slices.Concat([]byte{4}, x, y))
	if err != nil {
		return nil, errors.New("its point is not on its curve")
	}
	return public, nil
}

// thumbprint is RFC 7638's, over the required members in the order of their names.
func thumbprint(public crypto.PublicKey) string {
	w := wire(public)
	var canonical string
	switch w.Type {
	case "RSA":
		canonical = fmt.Sprintf(`{"e":%q,"kty":"RSA","n":%q}`, w.Exponent, w.Modulus)
	case "EC":
		canonical = fmt.Sprintf(`{"crv":%q,"kty":"EC","x":%q,"y":%q}`, w.Curve, w.X, w.Y)
	default:
		canonical = fmt.Sprintf(`{"crv":%q,"kty":"OKP","x":%q}`, w.Curve, w.X)
	}
	sum := sha256.Sum256([]byte(canonical))
	return encode(sum[:])
}

// wireKey is a key as it is published (RFC 7517 section 4, RFC 7518 section 6, RFC 8037 section 2).
type wireKey struct {
	Type      string `json:"kty"`
	Use       string `json:"use,omitempty"`
	Algorithm string `json:"alg,omitempty"`
	ID        string `json:"kid,omitempty"`
	Curve     string `json:"crv,omitempty"`
	X         string `json:"x,omitempty"`
	Y         string `json:"y,omitempty"`
	Modulus   string `json:"n,omitempty"`
	Exponent  string `json:"e,omitempty"`
}

// wire is a key's type and numbers. The key has passed checkPublic.
func wire(public crypto.PublicKey) wireKey {
	switch public := public.(type) {
	case *rsa.PublicKey:
		return wireKey{Type: "RSA", Modulus: encode(public.N.Bytes()), Exponent: encode(big.NewInt(int64(public.E)).Bytes())}
	case *ecdsa.PublicKey:
		point, err := public.Bytes() // 4, then x and y in full length
		if err != nil {
			return wireKey{}
		}
		size := len(point) / 2
		return wireKey{Type: "EC", Curve: public.Curve.Params().Name, X: encode(point[1 : 1+size]), Y: encode(point[1+size:])}
	case ed25519.PublicKey:
		return wireKey{Type: "OKP", Curve: "Ed25519", X: encode(public)}
	}
	return wireKey{}
}

func encode(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }
