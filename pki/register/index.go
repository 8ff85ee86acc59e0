package register

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sort"
	"time"

	"github.com/sallyport-project/sallyport/pki/signed"
)

const indexType = "application/vnd.sallyport.register-index.v1+json"

// Publication is when and of what an index was made.
type Publication struct {
	// Number rises with each publication. It is that of the revocation list that was published with the index.
	Number uint64 `json:"number"`
	// ThisUpdate and NextUpdate bound when the index may be believed to be complete.
	ThisUpdate time.Time `json:"this_update"`
	NextUpdate time.Time `json:"next_update"`
	// Head is the register's, of which this is the index.
	Head Head `json:"head"`
}

func (p Publication) equal(other Publication) bool {
	return p.Number == other.Number && p.ThisUpdate.Equal(other.ThisUpdate) && p.NextUpdate.Equal(other.NextUpdate) &&
		p.Head.Count == other.Head.Count && p.Head.Hash == other.Head.Hash
}

// indexPayload is what an authority signs.
type indexPayload struct {
	Publication
	// Certificates are the SHA-256 digests of the certificates, sorted, one after the other.
	Certificates []byte `json:"certificates"`
}

// SignIndex makes one authority's line of an index: the certificates of that authority that the register knows, by their
// SHA-256 in hex. The lines of several authorities of one register, made of the same Publication, follow each other.
func SignIndex(publication Publication, certificateSHA256s []string, signer crypto.Signer) ([]byte, error) {
	digests := make([][]byte, 0, len(certificateSHA256s))
	for _, text := range certificateSHA256s {
		if !isDigest(text) {
			return nil, fmt.Errorf("sign an index: %q is not a SHA-256 in lower-case hex", text)
		}
		digest, err := hex.DecodeString(text)
		if err != nil {
			return nil, fmt.Errorf("sign an index: %w", err)
		}
		digests = append(digests, digest)
	}
	slices.SortFunc(digests, bytes.Compare)
	digests = slices.CompactFunc(digests, bytes.Equal)
	payload, err := json.Marshal(indexPayload{Publication: publication, Certificates: bytes.Join(digests, nil)})
	if err != nil {
		return nil, fmt.Errorf("encode an index: %w", err)
	}
	data, err := signed.Sign(indexType, payload, signer)
	if err != nil {
		return nil, fmt.Errorf("sign an index: %w", err)
	}
	return append(data, '\n'), nil
}

// Index is the certificates that a register knows, as its authorities have signed it. Certificates that expired more than
// a day before ThisUpdate are left out. It is immutable.
type Index struct {
	Publication
	// Hash is the SHA-256 of the published bytes, in lower-case hex.
	Hash string
	// Signers are the keys of those authorities whose lines were believed, as signed.KeyID names them.
	Signers []string
	// digests holds the sorted digests of each signer's line.
	digests [][]byte
}

// ParseIndex reads a published index, and believes the lines that are signed by one of the issuers; at least one must be.
// Lines of others are passed over: a truststore may hold the new authority of a register and not the old one. The lines
// that are believed must be of one publication. The error for an index that no issuer has signed wraps
// signed.ErrUnknownSigner. Dates are not judged.
func ParseIndex(data []byte, issuers []*x509.Certificate) (*Index, error) {
	keys := make([]crypto.PublicKey, 0, len(issuers))
	for _, issuer := range issuers {
		keys = append(keys, issuer.PublicKey)
	}
	sum := sha256.Sum256(data)
	index := &Index{Hash: hex.EncodeToString(sum[:])}
	for number, line := range bytes.Split(bytes.TrimSpace(data), []byte("\n")) {
		err := index.read(line, keys)
		if err != nil && !errors.Is(err, signed.ErrUnknownSigner) {
			return nil, fmt.Errorf("read an index of issued certificates: line %d: %w", number+1, err)
		}
	}
	if len(index.Signers) == 0 {
		return nil, fmt.Errorf("read an index of issued certificates: %w", signed.ErrUnknownSigner)
	}
	return index, nil
}

// read takes one line.
func (i *Index) read(line []byte, keys []crypto.PublicKey) error {
	encoded, signer, err := signed.Open(line, indexType, keys)
	if err != nil {
		return err
	}
	var payload indexPayload
	if err := signed.Decode(encoded, &payload); err != nil {
		return err
	}
	switch {
	case payload.Number == 0 || !payload.NextUpdate.After(payload.ThisUpdate):
		return errors.New("its number must be at least 1, and next_update after this_update")
	case !isDigest(payload.Head.Hash):
		return errors.New("its head's hash is not a SHA-256 in lower-case hex")
	case !areSorted(payload.Certificates):
		return errors.New("its certificates are no sorted SHA-256 digests")
	case len(i.Signers) > 0 && !i.equal(payload.Publication):
		return errors.New("it is of another publication than the line before it")
	}
	i.Publication = payload.Publication
	i.Signers = append(i.Signers, signed.KeyID(signer))
	i.digests = append(i.digests, payload.Certificates)
	return nil
}

// Knows reports whether the register holds a certificate, by its SHA-256 in hex.
func (i *Index) Knows(certificateSHA256 string) bool {
	digest, err := hex.DecodeString(certificateSHA256)
	return err == nil && len(digest) == sha256.Size &&
		slices.ContainsFunc(i.digests, func(digests []byte) bool { return contains(digests, digest) })
}

// Size is how many certificates the index holds.
func (i *Index) Size() int {
	size := 0
	for _, digests := range i.digests {
		size += len(digests) / sha256.Size
	}
	return size
}

func contains(digests, digest []byte) bool {
	count := len(digests) / sha256.Size
	at, found := sort.Find(count, func(n int) int { return bytes.Compare(digest, digestAt(digests, n)) })
	return found && at < count
}

func digestAt(digests []byte, n int) []byte { return digests[n*sha256.Size : (n+1)*sha256.Size] }

// areSorted reports whether bytes are whole digests, each greater than the one before it.
func areSorted(digests []byte) bool {
	if len(digests)%sha256.Size != 0 {
		return false
	}
	for n := 1; n < len(digests)/sha256.Size; n++ {
		if bytes.Compare(digestAt(digests, n-1), digestAt(digests, n)) >= 0 {
			return false
		}
	}
	return true
}

// isDigest reports whether a text is a SHA-256 in lower-case hex.
func isDigest(text string) bool {
	digest, err := hex.DecodeString(text)
	return err == nil && len(digest) == sha256.Size && hex.EncodeToString(digest) == text
}
