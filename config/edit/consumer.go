package edit

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

// SetSuspended plans to suspend a Consumer, or to resume it. A value that is written is changed where it stands; where none
// is, a line is added at the end of the spec, and removed again when the Consumer is resumed, unless it bears a comment.
//
// Because a mistake elsewhere must not keep a partner in, other documents may be broken as long as this one is whole.
func SetSuspended(directory, name string, suspended bool) (*Plan, error) {
	c, err := find(directory, name)
	if err != nil {
		return nil, err
	}
	if c.message.GetSpec().GetSuspended() == suspended {
		return c.plan(nil, c.message)
	}
	wanted := proto.CloneOf(c.message)
	wanted.Spec.Suspended = suspended
	splices, err := c.setSuspended(suspended)
	if err != nil {
		return nil, err
	}
	return c.plan(splices, wanted)
}

func (c *consumer) setSuspended(suspended bool) ([]splice, error) {
	key, value, index := valueOf(c.spec, "suspended")
	if key == nil {
		splices, err := c.text.addEntry(c.spec, fmt.Sprintf("suspended: %t", suspended))
		return splices, c.at("spec", c.spec, err)
	}
	if decorated(value) || !c.text.has(c.text.offset(value), value.Value) {
		return nil, c.at("spec.suspended", value, errUnreadable)
	}
	from := c.text.offset(value)
	only := len(c.spec.Content) == 2
	if !suspended && !only && !c.text.commented(c.text.offset(key), from+len(value.Value)) {
		if removed, err := c.text.removeEntry(c.spec, index); err == nil {
			return []splice{removed}, nil
		}
	}
	return []splice{{from, from + len(value.Value), fmt.Sprint(suspended)}}, nil
}

// AddCertificateMatch plans to add to the certificates of a Consumer, after those that it has. Where it has that match
// already, there is nothing to do. The configuration must be valid.
func AddCertificateMatch(directory, name string, match *sallyportv1.CertificateMatch) (*Plan, error) {
	c, err := findValid(directory, name)
	if err != nil {
		return nil, err
	}
	if c.matchIndex(match) >= 0 {
		return c.plan(nil, c.message)
	}
	wanted := proto.CloneOf(c.message)
	wanted.Spec.Certificates = append(wanted.Spec.Certificates, proto.CloneOf(match))
	_, list, _ := valueOf(c.spec, "certificates")
	var splices []splice
	switch {
	case list == nil:
		var item string
		if item, err = fragment(match, true); err == nil {
			splices, err = c.text.addEntry(c.spec, "certificates: ["+item+"]")
		}
	case len(list.Content) == 0:
		var item string
		if item, err = fragment(match, true); err == nil {
			at := c.text.afterProperties(list) + 1
			splices = []splice{{at, at, item}}
		}
	default:
		splices, err = c.text.addItem(list, func(flow bool) (string, error) { return fragment(match, flow) })
	}
	if err != nil {
		return nil, c.at("spec.certificates", c.spec, err)
	}
	return c.plan(splices, wanted)
}

// RemoveCertificateMatch plans to remove a match from the certificates of a Consumer, with the comment behind it; lines of
// comment above it stay. It refuses to remove the last one, which would leave a Consumer that nobody can be. The
// configuration must be valid.
func RemoveCertificateMatch(directory, name string, match *sallyportv1.CertificateMatch) (*Plan, error) {
	c, err := findValid(directory, name)
	if err != nil {
		return nil, err
	}
	index := c.matchIndex(match)
	_, list, _ := valueOf(c.spec, "certificates")
	switch {
	case index < 0:
		return nil, fmt.Errorf("%s: the Consumer %q has no such certificate match", c.origin, name)
	case len(list.Content) == 1:
		return nil, fmt.Errorf("%s: this is the only certificate match of the Consumer %q: suspend it, or remove it as a whole", c.place(list), name)
	}
	wanted := proto.CloneOf(c.message)
	wanted.Spec.Certificates = slices.Delete(wanted.Spec.Certificates, index, index+1)
	removed, err := c.text.removeItem(list, index)
	if err != nil {
		return nil, c.at(fmt.Sprintf("spec.certificates[%d]", index), list.Content[index], err)
	}
	return c.plan([]splice{removed}, wanted)
}
