package kit

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"software.sslmate.com/src/go-pkcs12"
)

// EncryptAge encrypts the whole kit, as the ZIP file that Archive makes, for those who hold the keys of the recipients:
// age's own (`age1…`) and SSH public keys (`ssh-ed25519 …`, `ssh-rsa …`), at least one. What comes out is a .zip.age file in
// age's binary format, safe to send by any way. Errors never repeat a recipient, which may be a secret that was mistaken
// for one.
func (k *Kit) EncryptAge(recipients []string) ([]byte, error) {
	if len(recipients) == 0 {
		return nil, errors.New("encrypt the kit: there is no recipient: ask the partner for an age or SSH public key")
	}
	parsed := make([]age.Recipient, len(recipients))
	for i, text := range recipients {
		recipient, err := parseRecipient(strings.TrimSpace(text))
		if err != nil {
			return nil, fmt.Errorf("encrypt the kit: recipient %d %w", i+1, err)
		}
		parsed[i] = recipient
	}
	var out bytes.Buffer
	sealed, err := age.Encrypt(&out, parsed...)
	if err != nil {
		return nil, fmt.Errorf("encrypt the kit: %w", err)
	}
	if err := errors.Join(k.archive(sealed), sealed.Close()); err != nil {
		return nil, fmt.Errorf("encrypt the kit: %w", err)
	}
	return out.Bytes(), nil
}

// parseRecipient reads one public key. Its errors continue a sentence that begins with the recipient.
func parseRecipient(text string) (age.Recipient, error) {
	switch {
	case strings.HasPrefix(strings.ToUpper(text), "AGE-SECRET-KEY-"), strings.Contains(text, "PRIVATE KEY"):
		return nil, errors.New("is a secret key, which nobody else should have: ask the partner for a new public one")
	case strings.HasPrefix(text, "ssh-"):
		if recipient, err := agessh.ParseRecipient(text); err == nil {
			return recipient, nil
		}
		return nil, errors.New("is not an SSH public key that age can encrypt for: ssh-ed25519, or ssh-rsa of 2048 bits or more, is wanted")
	case !strings.ContainsAny(text, "\r\n"):
		if found, err := age.ParseRecipients(strings.NewReader(text)); err == nil && len(found) == 1 {
			return found[0], nil
		}
	}
	return nil, errors.New("is neither an age public key (age1…) nor an SSH one (ssh-ed25519 …)")
}

// PKCS12 makes a kit of one with a plain private key, in which key, certificate and chain are in a PKCS#12 file encrypted
// with a password (PBES2 with AES-256, which OpenSSL 1.1.1, Java 12 and Windows Server 2019 read, and those after them). The
// password is random, of 120 bits, and is returned once: it is kept nowhere. Give it to the partner by another way than the
// kit.
func (k *Kit) PKCS12() (encrypted *Kit, password string, err error) {
	if !k.plainKey {
		return nil, "", errors.New("encrypt the private key: the kit has none that is not encrypted")
	}
	password = newPassword()
	c := k.config
	data, err := pkcs12.Modern2023.Encode(c.PrivateKey, c.Certificate, c.Chain, password)
	if err != nil {
		return nil, "", fmt.Errorf("encrypt the private key as PKCS#12: %w", err)
	}
	c.PrivateKey = nil
	encrypted, err = c.kit(keyInPKCS12, file{CredentialsFile, data, modeSecret})
	if err != nil {
		return nil, "", err
	}
	return encrypted, password, nil
}

// Passwords are of characters that are not taken for one another, 5 bits each, in groups that can be read aloud.
const (
	passwordAlphabet = "abcdefghijkmnpqrstuvwxyz23456789"
	passwordGroups   = 6
	passwordGroup    = 4
)

func newPassword() string {
	random := make([]byte, passwordGroups*passwordGroup)
	_, _ = rand.Read(random) // never fails
	groups := make([]string, passwordGroups)
	for i := range groups {
		var group strings.Builder
		for _, b := range random[i*passwordGroup : (i+1)*passwordGroup] {
			group.WriteByte(passwordAlphabet[int(b)%len(passwordAlphabet)]) // 32 divides 256: no character is likelier
		}
		groups[i] = group.String()
	}
	return strings.Join(groups, "-")
}
