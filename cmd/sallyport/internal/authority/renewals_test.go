package authority

import (
	"fmt"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sallyport-project/sallyport/pki/issuer"
	"github.com/sallyport-project/sallyport/pki/register"
	"github.com/sallyport-project/sallyport/pki/spiffe"
	adminv1 "github.com/sallyport-project/sallyport/proto/sallyport/admin/v1"
)

func (h *held) rotate() int {
	h.Helper()
	number, err := h.home.Rotate(h.Context(), issuer.Options{RootOnly: true})
	if err != nil {
		h.Fatal(err)
	}
	if err := h.home.Activate(number); err != nil {
		h.Fatal(err)
	}
	return number
}

func TestACertificateIsRenewedOnceAThirdOfItsLifeIsOver(t *testing.T) {
	h := hold(t)
	leaf, err := h.enrol(h.token())
	if err != nil {
		t.Fatal(err)
	}
	h.clock.Pass(7 * time.Hour) // of 24
	early := h.renew(leaf)
	wants(t, early, codes.FailedPrecondition, "may not be renewed before")
	if !IsNotDue(early) {
		t.Error("a client cannot tell that it came too early")
	}
	h.clock.Pass(2 * time.Hour)
	if err := h.renew(leaf); err != nil {
		t.Error(err)
	}
	if IsNotDue(status.Error(codes.FailedPrecondition, "another")) || IsNotDue(nil) {
		t.Error("another error is taken for it")
	}
}

func TestACertificateOfAnAuthorityThatIssuesNoMoreIsRenewedAtOnce(t *testing.T) {
	h := hold(t)
	leaf, err := h.enrol(h.token())
	if err != nil {
		t.Fatal(err)
	}
	wants(t, h.renew(leaf), codes.FailedPrecondition, "a third of its life")
	h.rotate()
	if err := h.renew(leaf); err != nil {
		t.Error(err)
	}
}

func TestRenewalsOfOneProcessAreLimited(t *testing.T) {
	h := hold(t)
	leaf, err := h.enrol(h.token())
	if err != nil {
		t.Fatal(err)
	}
	for range renewalBurst {
		wants(t, h.renew(leaf), codes.FailedPrecondition, "a third of its life")
	}
	wants(t, h.renew(leaf), codes.ResourceExhausted, "too many renewals")
	h.clock.Pass(renewalPause)
	wants(t, h.renew(leaf), codes.FailedPrecondition, "a third of its life")
}

func TestAProcessHasTwentyCertificatesInForceAtMost(t *testing.T) {
	h := hold(t)
	leaf, err := h.enrol(h.token())
	if err != nil {
		t.Fatal(err)
	}
	h.clock.Pass(10 * time.Hour)
	for range mostInForce - 1 {
		h.clock.Pass(renewalPause)
		if err := h.renew(leaf); err != nil {
			t.Fatal(err)
		}
	}
	h.clock.Pass(renewalPause)
	wants(t, h.renew(leaf), codes.ResourceExhausted, "too many certificates in force")
	token := h.token()
	_, err = h.enrol(token)
	wants(t, err, codes.ResourceExhausted, "revoke those that nobody uses")
	if err := h.revoke(edge); err != nil { // its open tokens go too
		t.Fatal(err)
	}
	if _, err := h.enrol(h.token()); err != nil {
		t.Errorf("once they are revoked: %v", err)
	}
}

func TestOnlySoManyProcessesAreRemembered(t *testing.T) {
	var asked renewals
	now := time.Now()
	named := func(n int) spiffe.Identity {
		return spiffe.Identity{TrustDomain: "example.org", Kind: spiffe.Proxy, Group: "edge", Name: fmt.Sprint(n)}
	}
	for n := range mostRenewing {
		if !asked.allow(named(n), now) {
			t.Fatalf("process %d is refused", n)
		}
	}
	if asked.allow(named(mostRenewing), now) {
		t.Error("one more is let in")
	}
	if !asked.allow(named(mostRenewing), now.Add(renewalPause)) || len(asked.limits) != 1 {
		t.Errorf("%d are remembered after a pause", len(asked.limits))
	}
}

func TestRevokingBySerialNumberWithdrawsTheTokensOfItsProcess(t *testing.T) {
	h := hold(t)
	leaf, err := h.enrol(h.token())
	if err != nil {
		t.Fatal(err)
	}
	token := h.token()
	if _, err := h.RevokeCertificates(t.Context(), &adminv1.RevokeCertificatesRequest{
		Choice: &adminv1.RevokeCertificatesRequest_Serial{Serial: register.Serial(leaf.SerialNumber)}, Reason: "key_compromise",
	}); err != nil {
		t.Fatal(err)
	}
	_, err = h.enrol(token)
	wants(t, err, codes.PermissionDenied, "ask for another")
}
