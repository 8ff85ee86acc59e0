package register

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// BrokenError says where a register is not what was once written.
type BrokenError struct {
	// Line is 1 for the first.
	Line uint64
	// Reason continues "line N of the register: ".
	Reason string
}

// Error names the line.
func (e *BrokenError) Error() string {
	return fmt.Sprintf("line %d of the register: %s: it has been changed since it was written, or is another's", e.Line, e.Reason)
}

// ForeignError says which line tells of a certificate that Config.Verify does not vouch for. That line and those after it
// are not taken; they are looked at again when the register is loaded again.
type ForeignError struct {
	// Line is 1 for the first.
	Line uint64
	// Err is what Verify said.
	Err error
}

// Error names the line.
func (e *ForeignError) Error() string {
	return fmt.Sprintf("line %d of the register tells of a certificate that its authorities have not signed: %v", e.Line, e.Err)
}

// Unwrap returns what Verify said.
func (e *ForeignError) Unwrap() error { return e.Err }

// Register holds verified entries in memory. It grows only by its Store. It is safe for concurrent use. Its zero value is
// empty.
type Register struct {
	// verify is Config's; nil for none.
	verify func(uint64, *Issued) error

	mu           sync.RWMutex
	entries      []Entry
	certificates []*Certificate
	lookup       lookup
	// broken is the first line that was not as it was written. Nothing is taken after it.
	broken *BrokenError
}

// Read verifies all lines of a register, each with its end of line, and returns what they hold. The error for the first
// line that is not as it was written is a *BrokenError. That lines are missing at the end is told by Check alone.
func Read(lines []byte) (*Register, error) {
	register := &Register{}
	if err := register.read(lines); err != nil {
		return nil, err
	}
	return register, nil
}

// read takes further lines. Those before the first broken one are kept; none is where one tells of a foreign certificate.
func (r *Register) read(lines []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.broken != nil {
		return r.broken
	}
	entries, wrong := decodeLines(lines)
	if err := r.checkSigned(entries); err != nil {
		return err
	}
	for _, entry := range entries {
		if err := r.checkNext(entry); err != nil {
			return r.breakOff(err)
		}
		r.add(entry)
	}
	if wrong != nil {
		return r.breakOff(wrong)
	}
	return nil
}

// breakOff ends the register before its next line.
func (r *Register) breakOff(reason error) error {
	r.broken = &BrokenError{Line: r.next(), Reason: reason.Error()}
	return r.broken
}

// decodeLines returns the entries before the first line that is none, and what is wrong with that one.
func decodeLines(lines []byte) (entries []Entry, wrong error) {
	for len(lines) > 0 {
		line, rest, complete := bytes.Cut(lines, []byte("\n"))
		if !complete {
			return entries, errors.New("its end is missing")
		}
		entry, err := decodeEntry(line)
		if err != nil {
			return entries, err
		}
		entries, lines = append(entries, entry), rest
	}
	return entries, nil
}

// checkSigned has those who know the authorities vouch for what further entries tell of.
func (r *Register) checkSigned(entries []Entry) error {
	if r.verify == nil {
		return nil
	}
	for n, entry := range entries {
		if entry.Issued == nil {
			continue
		}
		line := r.next() + uint64(n)
		if err := r.verify(line, entry.Issued); err != nil && entry.Issued.check() == nil { // else checkNext says what is wrong
			return &ForeignError{Line: line, Err: err}
		}
	}
	return nil
}

func (r *Register) next() uint64 { return uint64(len(r.entries)) + 1 }

// checkNext reports why an entry cannot be the next one.
func (r *Register) checkNext(entry Entry) error {
	hash, err := entry.hash()
	switch {
	case err != nil:
		return err
	case entry.Sequence != r.next():
		return fmt.Errorf("it has the number %d", entry.Sequence)
	case entry.Previous != r.head().Hash:
		return errors.New("it does not follow the line before it")
	case entry.Hash != hash:
		return errors.New("its hash is not that of its content")
	}
	if err := entry.check(); err != nil {
		return err
	}
	return r.checkFits(entry.Record)
}

// checkFits reports why a record contradicts what the register holds.
func (r *Register) checkFits(record Record) error {
	if record.Revoked != nil {
		if r.lookup.byDigest[record.Revoked.CertificateSHA256] == nil {
			return fmt.Errorf("it revokes the certificate %s, which the register does not hold", record.Revoked.CertificateSHA256)
		}
		return nil
	}
	if r.lookup.byDigest[record.Issued.CertificateSHA256] != nil {
		return fmt.Errorf("the register holds the certificate %s already", record.Issued.CertificateSHA256)
	}
	if r.lookup.bySerial[serialKey(record.Issued)] != nil {
		return fmt.Errorf("the register holds another certificate of the same issuer with the serial number %s", record.Issued.Serial)
	}
	return nil
}

// add takes an entry that checkNext has passed.
func (r *Register) add(entry Entry) {
	r.entries = append(r.entries, entry)
	if entry.Revoked != nil {
		r.lookup.byDigest[entry.Revoked.CertificateSHA256].revoke(entry.Revoked)
		return
	}
	certificate := &Certificate{Issued: *entry.Issued, Sequence: entry.Sequence, Recorded: entry.Time}
	r.certificates = append(r.certificates, certificate)
	r.lookup.add(certificate)
}

// extend makes the entries for records, without taking them. They must fit the register and each other.
func (r *Register) extend(records []Record, now time.Time) ([]Entry, []byte, error) {
	scratch := r.copyForExtend(records)
	var lines bytes.Buffer
	for _, record := range records {
		entry := Entry{
			Sequence: scratch.next(),
			Time:     now.UTC().Truncate(time.Second),
			Record:   record,
			Previous: scratch.head().Hash,
		}
		var err error
		if entry.Hash, err = entry.hash(); err != nil {
			return nil, nil, err
		}
		line, err := entry.encode()
		if err != nil {
			return nil, nil, err
		}
		if again, err := decodeEntry(line); err != nil {
			return nil, nil, fmt.Errorf("read back an entry for the register: %w", err)
		} else if err := scratch.checkNext(again); err != nil {
			return nil, nil, fmt.Errorf("append to the register: %w", err)
		} else if err := scratch.checkSigned([]Entry{again}); err != nil {
			return nil, nil, fmt.Errorf("append to the register: %w", err)
		}
		scratch.add(entry)
		lines.Write(line)
		lines.WriteByte('\n')
	}
	return scratch.entries[len(scratch.entries)-len(records):], lines.Bytes(), nil
}

// copyForExtend copies as much of the register as tells whether records fit.
func (r *Register) copyForExtend(records []Record) *Register {
	r.mu.RLock()
	defer r.mu.RUnlock()
	scratch := &Register{verify: r.verify, entries: r.entries[:len(r.entries):len(r.entries)]}
	know := func(certificate *Certificate) {
		if certificate != nil {
			again := *certificate
			scratch.lookup.add(&again)
		}
	}
	for _, record := range records {
		if record.Issued != nil {
			know(r.lookup.byDigest[record.Issued.CertificateSHA256])
			know(r.lookup.bySerial[serialKey(record.Issued)])
		}
		if record.Revoked != nil {
			know(r.lookup.byDigest[record.Revoked.CertificateSHA256])
		}
	}
	return scratch
}

// Head says how far the register reaches.
func (r *Register) Head() Head {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.head()
}

func (r *Register) head() Head {
	if len(r.entries) == 0 {
		return Head{Hash: Origin}
	}
	last := r.entries[len(r.entries)-1]
	return Head{Count: last.Sequence, Hash: last.Hash, Time: last.Time}
}

// Check reports whether the register still holds everything that it held when a head was made. A head that was signed and
// published tells so of a register that was cut or rewritten as a whole.
func (r *Register) Check(head Head) error {
	r.mu.RLock()
	defer r.mu.RUnlock()
	switch {
	case head.Count > uint64(len(r.entries)):
		return fmt.Errorf("the register has %d entries, and had %d at %s: its end is missing; put back the whole register before anything is issued or revoked",
			len(r.entries), head.Count, head.Time.UTC().Format(time.RFC3339))
	case head.Count == 0:
		return nil
	case r.entries[head.Count-1].Hash != head.Hash:
		return &BrokenError{Line: head.Count, Reason: "its hash is not the one of the signed head"}
	}
	return nil
}

// Entries returns the entries from a sequence number on, at most so many; all of them if limit is 0.
func (r *Register) Entries(from uint64, limit int) []Entry {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if from > 0 {
		from--
	}
	if from >= uint64(len(r.entries)) {
		return nil
	}
	entries := r.entries[from:]
	if limit > 0 && len(entries) > limit {
		entries = entries[:limit]
	}
	return append([]Entry(nil), entries...)
}

// Find returns the certificates that are known by a serial number, the SHA-256 of the certificate, or that of its public
// key, in hex of either case, with or without colons. It is usually one. It does not read the whole register.
func (r *Register) Find(name string) []Certificate {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return copies(r.lookup.find(strings.ToLower(strings.ReplaceAll(strings.TrimSpace(name), ":", ""))))
}

// OfConsumer returns the certificates of a Consumer, in the order in which they were entered. It does not read the whole
// register.
func (r *Register) OfConsumer(consumer string) []Certificate {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return copies(r.lookup.byConsumer[consumer])
}

func copies(certificates []*Certificate) []Certificate {
	var copied []Certificate
	for _, certificate := range certificates {
		copied = append(copied, *certificate)
	}
	return copied
}

// Certificate returns the one with a SHA-256 in lower-case hex.
func (r *Register) Certificate(certificateSHA256 string) (Certificate, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	certificate := r.lookup.byDigest[certificateSHA256]
	if certificate == nil {
		return Certificate{}, false
	}
	return *certificate, true
}

// Certificates returns those that are wanted, in the order in which they were entered; all if wanted is nil. The function
// must neither change nor keep what it is shown.
func (r *Register) Certificates(wanted func(*Certificate) bool) []Certificate {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var found []Certificate
	for _, certificate := range r.certificates {
		if wanted == nil || wanted(certificate) {
			found = append(found, *certificate)
		}
	}
	return found
}
