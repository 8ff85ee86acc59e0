package question_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/pipeline"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/question"
	"github.com/sallyport-project/sallyport/pki/inventory"
	adminv1 "github.com/sallyport-project/sallyport/proto/sallyport/admin/v1"
)

// keep returns a keeper of the partners' material, and that material.
func keep(t *testing.T) (*inventory.Keeper, *inventory.Snapshot) {
	t.Helper()
	model, err := build(partners)
	if err != nil {
		t.Fatal(err)
	}
	keeper, err := inventory.New(inventory.Config{Substitute: true, Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	material := keeper.Apply(t.Context(), pipeline.SpecsOf(model))
	return keeper, material
}

// with is a GET by whoever has the certificate, which is in PEM.
func with(certificate, url string) *adminv1.ExplainRequest {
	return &adminv1.ExplainRequest{Inquiry: get(url), Caller: &adminv1.ExplainRequest_CertificatePem{CertificatePem: certificate}}
}

func TestACertificateIsJudgedByRealTruststores(t *testing.T) {
	keeper, material := keep(t)
	authority, _ := keeper.TruststoreAuthority("partners")
	own, _ := keeper.TruststoreAuthority("internal")
	answers := answersOf(t, partners, func(c *question.Config) { c.Material, c.TruststoresOnly = material, true })
	for name, c := range map[string]struct {
		pem  string
		want reason.Reason
	}{
		"its own":              {certificate(t, authority, "mapps"), reason.PermissionGranted},
		"a stranger's":         {certificate(t, authority, "stranger"), reason.ConsumerUnknown},
		"another authority's":  {certificate(t, own, "mapps"), reason.CertificateUntrusted},
		"with another beneath": {certificate(t, authority, "mapps") + certificate(t, own, "x"), reason.PermissionGranted},
	} {
		answer, err := answers.Explain(t.Context(), with(c.pem, "https://api.example.org/v1/persons/1"))
		if err != nil {
			t.Fatal(err)
		}
		if got := answer.GetPassages()[0].GetReason(); got != string(c.want) {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestATruststoreThatIsNotGoodIsTold(t *testing.T) {
	broken := &inventory.Snapshot{Problems: []inventory.Problem{{Kind: inventory.KindTruststore, Name: "partners", Err: errors.New("it is empty")}}}
	answers := answersOf(t, partners, func(c *question.Config) { c.Material, c.TruststoresOnly = broken, true })
	answer, err := answers.Explain(t.Context(), by("mapps", "https://api.example.org/v1/persons/1"))
	if err != nil {
		t.Fatal(err)
	}
	if answer.GetPassages()[0].GetReason() != string(reason.TruststoreMissing) || answer.GetStatus() != 503 ||
		!slices.ContainsFunc(answer.GetNotes(), func(note string) bool { return strings.Contains(note, "it is empty") }) {
		t.Errorf("answer %v", answer)
	}
}

func TestACertificateIsFollowedToTheApiBehindTheSidecar(t *testing.T) {
	keeper, material := keep(t)
	authority, _ := keeper.TruststoreAuthority("partners")
	bare := &inventory.Snapshot{Generation: material.Generation, Truststores: material.Truststores}
	for name, c := range map[string]struct {
		config   question.Config
		at       time.Time
		presumed bool
	}{
		"of a directory":                       {question.Config{Material: bare, TruststoresOnly: true, Apart: true}, time.Time{}, true},
		"of a server that only decides":        {question.Config{Material: bare, TruststoresOnly: true}, time.Time{}, true},
		"of a server":                          {question.Config{Material: material}, time.Time{}, false},
		"of a server, about another moment":    {question.Config{Material: material}, noon.Add(time.Hour), true},
		"of a directory, about another moment": {question.Config{Material: bare, TruststoresOnly: true, Apart: true}, noon.Add(time.Hour), true},
	} {
		answers := answersOf(t, partners, func(settings *question.Config) {
			c.config.Model, c.config.Clock = settings.Model, settings.Clock
			*settings = c.config
		})
		asked := with(certificate(t, authority, "mapps"), "https://api.example.org/v1/persons/1")
		if !c.at.IsZero() {
			asked.Inquiry.At = timestamppb.New(c.at)
		}
		answer, err := answers.Explain(t.Context(), asked)
		if err != nil {
			t.Fatal(err)
		}
		presumed := slices.ContainsFunc(answer.GetNotes(), func(note string) bool { return strings.Contains(note, "present to each other are good") })
		if answer.GetVerdict() != question.Allowed || len(answer.GetPassages()) != 2 || presumed != c.presumed {
			t.Errorf("%s: %s, %d gateways: %s %q", name, answer.GetVerdict(), len(answer.GetPassages()), answer.GetSummary(), answer.GetNotes())
		}
	}
}

func TestWhatMaterialThatIsNotHereWouldTellIsUnknown(t *testing.T) {
	keeper, material := keep(t)
	authority, _ := keeper.TruststoreAuthority("partners")
	own := certificate(t, authority, "mapps")
	// listed is the partners' truststore without the list that it has elsewhere.
	listed := func(mode inventory.RevocationMode) *inventory.Snapshot {
		store := *material.Truststores["partners"]
		store.Revocation = inventory.Revocation{Mode: mode, Missing: []string{"CN=truststore-partners"}}
		return &inventory.Snapshot{
			Truststores: map[string]*inventory.Truststore{"partners": &store},
			Problems:    []inventory.Problem{{Kind: inventory.KindTruststore, Name: "partners", InForce: true, Err: errors.New("its list cannot be read")}},
		}
	}
	unreadable := &inventory.Snapshot{Problems: []inventory.Problem{{Kind: inventory.KindTruststore, Name: "partners", Err: errors.New("its bundle cannot be read")}}}
	const persons, health = "https://api.example.org/v1/persons/1", "https://api.example.org/v1/health"
	refusing := strings.ReplaceAll(partners, "on_untrusted: explain", "on_untrusted: refuse")
	for name, c := range map[string]struct {
		text     string
		material *inventory.Snapshot
		here     bool
		url      string
		verdict  string
		status   uint32
		why      string
	}{
		"without its truststore":                    {partners, unreadable, true, persons, question.Unknown, 0, "its bundle cannot be read"},
		"refused without its truststore":            {refusing, unreadable, true, persons, question.Unknown, 0, "its bundle cannot be read"},
		"without the list that is required":         {partners, listed(inventory.RevocationRequired), true, persons, question.Unknown, 0, "no revocation list"},
		"refused without the list":                  {refusing, listed(inventory.RevocationRequired), true, persons, question.Unknown, 0, "its list cannot be read"},
		"without a list that counts where it is":    {partners, listed(inventory.RevocationWhenPresent), true, persons, question.Unknown, 0, "its list cannot be read"},
		"a list that does not count":                {partners, listed(inventory.RevocationOff), true, persons, question.Allowed, 200, "reaches api"},
		"nobody asks for a certificate":             {partners, unreadable, true, health, question.Allowed, 200, "reaches api"},
		"a server without its truststore":           {partners, unreadable, false, persons, question.Denied, 503, "truststore_missing"},
		"a server without the list":                 {partners, listed(inventory.RevocationRequired), false, persons, question.Denied, 503, "revocation_unavailable"},
		"a server without a list where it would do": {partners, listed(inventory.RevocationWhenPresent), false, persons, question.Allowed, 200, "reaches api"},
	} {
		answers := answersOf(t, c.text, func(s *question.Config) { s.Material, s.TruststoresOnly, s.Apart = c.material, true, c.here })
		answer, err := answers.Explain(t.Context(), with(own, c.url))
		if err != nil {
			t.Fatal(err)
		}
		if answer.GetVerdict() != c.verdict || answer.GetStatus() != c.status || !strings.Contains(answer.GetSummary(), c.why) {
			t.Errorf("%s: %s %d: %s", name, answer.GetVerdict(), answer.GetStatus(), answer.GetSummary())
		}
		if first := answer.GetPassages()[0]; c.verdict == question.Unknown && (len(answer.GetPassages()) > 1 || first.GetVerdict() != question.Unknown || first.GetStatus() != 0 || first.GetRefused() != "") {
			t.Errorf("%s: passages %v", name, answer.GetPassages())
		}
	}
}

func TestListsOfNowDoNotTellOfAnotherMoment(t *testing.T) {
	keeper, material := keep(t)
	authority, _ := keeper.TruststoreAuthority("partners")
	store := *material.Truststores["partners"]
	store.Revocation.Mode = inventory.RevocationRequired
	there := *material
	there.Truststores = map[string]*inventory.Truststore{"partners": &store, "internal": material.Truststores["internal"]}
	answers := answersOf(t, partners, func(c *question.Config) { c.Material = &there })
	for at, want := range map[*timestamppb.Timestamp]string{nil: question.Denied, timestamppb.New(noon.Add(time.Hour)): question.Unknown} {
		asked := with(certificate(t, authority, "mapps"), "https://api.example.org/v1/persons/1")
		asked.Inquiry.At = at
		answer, err := answers.Explain(t.Context(), asked)
		if err != nil {
			t.Fatal(err)
		}
		if answer.GetVerdict() != want {
			t.Errorf("at %v: %s, want %s", at, answer.GetSummary(), want)
		}
	}
}
