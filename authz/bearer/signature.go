package bearer

import (
	"github.com/sallyport-project/sallyport/authz/jose"
	"github.com/sallyport-project/sallyport/authz/keyset"
	"github.com/sallyport-project/sallyport/authz/reason"
)

// verify wants a key of the Provider to have signed the token. Where the set in force cannot tell, because it has no such key, or
// because the token names none and no key fits, the Provider's present set is asked for once.
func (j *judging) verify(r *rules, read *jose.Token) *Refusal {
	set, _ := j.keys.Keys(r.provider.Name)
	refusal := j.verifyBy(r, set, read)
	if refusal == nil || refusal.Reason == reason.TokenSignature && read.Header.KeyID != "" {
		return refusal
	}
	present, _ := j.keys.Missing(j.ctx, r.provider.Name, read.Header.KeyID)
	if present.KeySet != set.KeySet {
		refusal = j.verifyBy(r, present, read)
	}
	switch {
	case refusal == nil || refusal.Reason != reason.TokenKeyUnknown:
		return refusal
	case j.ctx.Err() != nil:
		return r.unavailable("its key set could not be fetched in time, and the one in force has no such key")
	case present.Stale:
		return r.unavailable("it cannot be reached, and its last key set has no such key")
	}
	return refusal
}

// verifyBy looks for the key in one set.
func (j *judging) verifyBy(r *rules, set keyset.Set, read *jose.Token) *Refusal {
	if set.KeySet == nil {
		why := "no key set of it is in force"
		if set.Problem != "" {
			why += ": " + set.Problem
		}
		return r.unavailable(why)
	}
	candidates := set.KeySet.Find(read.Header.KeyID, jose.Algorithm(read.Header.Algorithm))
	if len(candidates) == 0 {
		return r.keyUnknown()
	}
	if !j.memory.verified(signature{j.sum, set.KeySet.Hash()}, read, candidates) {
		return r.badSignature()
	}
	return nil
}

func (r *rules) keyUnknown() *Refusal {
	return &Refusal{reason.TokenKeyUnknown, "the Provider " + r.quoted + " has no key that the token could be signed with"}
}

func (r *rules) badSignature() *Refusal {
	return &Refusal{reason.TokenSignature, "no key of the Provider " + r.quoted + " made the token's signature"}
}
