package reason_test

import (
	"net/http"
	"regexp"
	"testing"

	"github.com/sallyport-project/sallyport/authz/reason"
)

func TestEveryReasonIsNamedOnceAndComplete(t *testing.T) {
	seen := map[reason.Reason]bool{}
	name := regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`)
	for _, entry := range reason.All() {
		if seen[entry.Reason] {
			t.Errorf("%s stands twice", entry.Reason)
		}
		seen[entry.Reason] = true
		if !name.MatchString(string(entry.Reason)) {
			t.Errorf("%q is not in snake_case", entry.Reason)
		}
		if entry.Title == "" || entry.Meaning == "" {
			t.Errorf("%s has no title or meaning", entry.Reason)
		}
		switch entry.Status {
		case 0: // of proxies
		case http.StatusOK, http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound,
			http.StatusMisdirectedRequest, http.StatusMethodNotAllowed, http.StatusTooManyRequests, http.StatusServiceUnavailable:
		default:
			t.Errorf("%s has status %d", entry.Reason, entry.Status)
		}
	}
}

func TestAnUnknownReasonLiesWithUsAndAllowsNothing(t *testing.T) {
	unknown := reason.Reason("never_heard_of")
	if unknown.Allows() || !unknown.OurFault() || unknown.Status() != http.StatusServiceUnavailable {
		t.Errorf("an unknown reason has status %d", unknown.Status())
	}
}

func TestTypesAreURIsWithHyphens(t *testing.T) {
	if got, want := reason.PermissionMissing.Type(), "https://github.com/sallyport-project/sallyport/blob/main/docs/reference/reasons.md#permission_missing"; got != want {
		t.Errorf("type %s, want %s", got, want)
	}
}
