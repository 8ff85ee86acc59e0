package inventory

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sallyport-project/sallyport/pki/material"
	"github.com/sallyport-project/sallyport/pki/register"
	"github.com/sallyport-project/sallyport/pki/signed"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

// heldRegister is a published index in force. What is unproven has no anchor's signature, and its index is nil.
type heldRegister struct {
	index *register.Index
	data  []byte
}

// lookAtRegisters finds the published indexes in force, by the rules for lists: no lower number than was seen, and the
// last good one where there is none. An index that has run out stays in force: it lets nobody in whom a newer one would
// not, since a register forgets nobody but those whose certificates have expired.
func (t *trustLook) lookAtRegisters() {
	spec := t.spec.GetIssuance()
	if spec == nil {
		return
	}
	t.found.Issuance.Registered = spec.GetMode() == sallyportv1.IssuanceMode_ISSUANCE_MODE_REGISTERED
	t.holding.registers = make(map[string]heldRegister)
	var unproven [][]byte
	for _, source := range spec.GetRegisters() {
		held, err := t.openRegister(source)
		if err != nil {
			t.fault("its register: %w", err)
			var found bool
			if held, found = t.lastGoodRegister(source); !found {
				continue
			}
		}
		t.holding.registers[source] = held
		if held.index != nil {
			t.found.Issuance.Registers = append(t.found.Issuance.Registers, RegisterState{Index: held.index, Source: source})
			t.judgeRegister(source, held.index)
		}
		if t.found.Intermediates.FromCaller {
			unproven = append(unproven, held.data)
		}
	}
	t.found.Issuance.unproven = newUnprovenIndexes(unproven)
}

func (t *trustLook) openRegister(source string) (heldRegister, error) {
	reference, err := material.ParseList(source)
	if err != nil {
		return heldRegister{}, err
	}
	reference = reference.In(t.config.Base)
	data, err := t.config.Store.Read(reference)
	if err != nil {
		return heldRegister{}, err
	}
	held, err := t.readRegister(source, data)
	if err == nil {
		t.config.Store.Accept(reference, data)
	}
	return held, err
}

// lastGoodRegister is what was in force before, or what the process before took for good.
func (t *trustLook) lastGoodRegister(source string) (heldRegister, bool) {
	if held, found := t.held.registers[source]; found {
		return held, true
	}
	reference, err := material.ParseList(source)
	if err != nil {
		return heldRegister{}, false
	}
	data, found := t.config.Store.LastGood(reference.In(t.config.Base))
	if !found {
		return heldRegister{}, false
	}
	held, err := t.readRegister(source, data)
	return held, err == nil
}

func (t *trustLook) readRegister(source string, data []byte) (heldRegister, error) {
	index, err := register.ParseIndex(data, t.found.Anchors)
	switch {
	case errors.Is(err, signed.ErrUnknownSigner) && t.found.Intermediates.FromCaller:
		return heldRegister{data: data}, nil
	case err != nil:
		return heldRegister{}, fmt.Errorf("%s: %w", source, err)
	}
	known := t.seen.Registers[source]
	switch {
	case index.Number < known.Number:
		return heldRegister{}, fmt.Errorf("%s: its number is %d, and %d was seen: an older one is not taken", source, index.Number, known.Number)
	case index.Number == known.Number && known.Hash != index.Hash:
		return heldRegister{}, fmt.Errorf("%s: its number is %d, under which another one was seen: it is not taken", source, index.Number)
	}
	t.seen.Registers[source] = seenRegister{Number: index.Number, Hash: index.Hash}
	return heldRegister{index: index, data: slices.Clone(data)}, nil
}

func (t *trustLook) judgeRegister(source string, index *register.Index) {
	t.dueIfAhead(index.NextUpdate)
	if !t.now.Before(index.NextUpdate) {
		t.fault("its register: %s has run out, at %s: certificates issued since then are not known", source, index.NextUpdate.UTC().Format(time.RFC3339))
	}
}
