package expression

import (
	"fmt"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/cost"
)

// costLimit is what the evaluation of an expression may cost, in CEL's units: about one for each fact that is read, each
// item that is looked at, and each ten characters. A unit takes some ten nanoseconds.
const costLimit = 500_000

// The sizes that the cost of an expression is estimated by. MaxValues and MaxValueLength are bounds of the configuration;
// the others are those of requests and certificates, or greater than anything sensible. What is larger still meets the limit
// when it is evaluated.
const (
	// MaxValues is how many values an attribute of a Consumer may have.
	MaxValues = 1000
	// MaxValueLength is how long one of them may be, in bytes.
	MaxValueLength = 256

	maxNames     = 100  // of a certificate, and roles of a consumer
	maxPairs     = 64   // of attributes, labels and captures
	maxPath      = 8192 // of a request, in bytes
	maxSubject   = 2048 // of a certificate or token, in bytes
	maxClaim     = 1000 // items, or bytes, of a token's claim, which may be a list or a text
	maxClaimItem = 256  // bytes of an item of one
	maxOtherText = 512
)

// sizes tells CEL how large the facts may be; it is a cost.Estimator.
type sizes struct{}

// EstimateCallCost leaves functions to CEL.
func (sizes) EstimateCallCost(string, string, *cost.AstNode, []cost.AstNode) *cost.CallEstimate { //nolint:gocritic // the interface has it so
	return nil
}

// EstimateSize knows what can be read: lists and maps by the number of their items, texts by their length.
func (sizes) EstimateSize(node cost.AstNode) *cost.SizeEstimate {
	size := func(most uint64) *cost.SizeEstimate {
		estimate := cost.RangedSizeEstimate(0, most)
		return &estimate
	}
	path := node.Path()
	if len(path) == 0 {
		return nil
	}
	if path[0] == NamePath { // what a capture stands for is a part of the path
		if len(path) == 1 {
			return size(maxPairs)
		}
		return size(maxPath)
	}
	if len(path) == 1 {
		return size(maxSubject) // `subject`; objects have no size
	}
	switch field, depth := path[1], len(path); {
	case field == "claims" && depth == 2:
		return size(maxPairs)
	case field == "claims" && strings.HasPrefix(path[depth-1], "@"):
		return size(maxClaimItem)
	case field == "claims":
		return size(maxClaim)
	case field == "attributes" && depth == 2, field == "labels" && depth == 2:
		return size(maxPairs)
	case field == "attributes" && depth == 3 && path[2] != "@keys":
		return size(MaxValues)
	case field == "attributes":
		return size(MaxValueLength)
	case field == "audiences" && depth == 2, field == "scopes" && depth == 2:
		return size(maxNames)
	case field == "roles" && depth == 2, field == "uris" && depth == 2, field == "dns_names" && depth == 2:
		return size(maxNames)
	case field == "path":
		return size(maxPath)
	case field == "subject_dn", field == "issuer_dn", field == "uris", field == "subject", field == "issuer":
		return size(maxSubject)
	}
	return size(maxOtherText)
}

// checkCost refuses an expression whose worst case costs more than the limit.
func checkCost(env *cel.Env, checked *cel.Ast) *Error {
	estimate, err := env.EstimateCost(checked, sizes{})
	if err != nil {
		return &Error{Message: "cannot be judged by its cost: " + err.Error()}
	}
	if estimate.Max > costLimit {
		return &Error{Message: fmt.Sprintf("could cost too much for each request, up to %s where at most %d is accepted: "+
			"look something up (`x in list`) in place of going through lists, or through long texts, one within the other",
			units(estimate.Max), costLimit)}
	}
	return nil
}

// units writes a cost for people, who need no more than its magnitude where it is beyond all measure.
func units(estimate uint64) string {
	const beyond = 1 << 40
	if estimate > beyond {
		return "any amount"
	}
	return fmt.Sprint(estimate)
}
