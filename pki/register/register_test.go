package register

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestARegisterIsFoundAgainAsItWasWritten(t *testing.T) {
	data := lines(t, issued(0), issued(1), revoked(0, noon.Add(time.Hour)))
	register := mustRead(t, data)

	head := register.Head()
	if head.Count != 3 || !head.Time.Equal(noon) {
		t.Errorf("head %+v", head)
	}
	want := issued(1).Issued
	serial := strings.ToUpper(want.Serial)
	for _, name := range []string{want.Serial, "00" + serial, serial[:2] + ":" + serial[2:], want.CertificateSHA256, strings.ToUpper(want.SPKISHA256)} {
		found := register.Find(name)
		if len(found) != 1 || found[0].CertificateSHA256 != want.CertificateSHA256 || found[0].Consumer != "partner-1" || found[0].Sequence != 2 {
			t.Errorf("by %q: %+v", name, found)
		}
	}
	if found := register.Find(""); found != nil {
		t.Errorf("by nothing: %+v", found)
	}
	if entries := register.Entries(2, 1); len(entries) != 1 || entries[0].Sequence != 2 {
		t.Errorf("entries %+v", entries)
	}
	if all := register.Entries(0, 0); len(all) != 3 {
		t.Errorf("%d entries", len(all))
	}
	if len(register.Entries(4, 0)) != 0 {
		t.Error("entries after the last")
	}
}

func TestTheFormIsTheOneThatIsDocumented(t *testing.T) {
	jq, err := exec.LookPath("jq")
	if err != nil {
		t.Skip("jq is not installed: this shows only that the command of the package's comment works")
	}
	data := lines(t, issued(0))
	command := exec.Command(jq, "-cj", "del(.hash)")
	command.Stdin = bytes.NewReader(data)
	output, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	if want := mustRead(t, data).Head().Hash; Digest(output) != want {
		t.Errorf("hash %s, want %s", Digest(output), want)
	}
}

func TestStatusFollowsTheClock(t *testing.T) {
	certificate := issued(0).Issued
	before, after := certificate.NotBefore.Add(-time.Second), certificate.NotAfter.Add(time.Second)
	for name, test := range map[string]struct {
		revocations []time.Time
		at          time.Time
		want        Status
	}{
		"in force":                            {nil, noon, Active},
		"not yet":                             {nil, before, Pending},
		"over":                                {nil, after, Expired},
		"revoked":                             {[]time.Time{noon}, noon, RevokedNow},
		"revoked stays so after its end":      {[]time.Time{noon}, after, RevokedNow},
		"scheduled":                           {[]time.Time{noon.Add(time.Hour)}, noon, Scheduled},
		"the schedule has come":               {[]time.Time{noon.Add(time.Hour)}, noon.Add(time.Hour), RevokedNow},
		"scheduled for after its end":         {[]time.Time{after}, noon, Active},
		"an earlier revocation wins":          {[]time.Time{noon.Add(time.Hour), noon}, noon, RevokedNow},
		"a later revocation puts nothing off": {[]time.Time{noon, noon.Add(time.Hour)}, noon, RevokedNow},
	} {
		t.Run(name, func(t *testing.T) {
			records := []Record{issued(0)}
			for _, at := range test.revocations {
				records = append(records, revoked(0, at))
			}
			found, _ := mustRead(t, lines(t, records...)).Certificate(certificate.CertificateSHA256)
			if got := found.StatusAt(test.at); got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
}

func TestARegisterRefusesWhatContradictsIt(t *testing.T) {
	register := mustRead(t, lines(t, issued(0)))
	sameSerial := issued(1)
	sameSerial.Issued.Serial = issued(0).Issued.Serial
	for name, records := range map[string][]Record{
		"nothing":                           {{}},
		"two things at once":                {{Issued: issued(1).Issued, Revoked: revoked(0, noon).Revoked}},
		"a certificate that it holds":       {issued(0)},
		"the same certificate twice":        {issued(1), issued(1)},
		"a revocation of another's":         {revoked(1, noon)},
		"a revocation without a reason":     {{Revoked: NewRevoked(issued(0).Issued, "", noon, "ops")}},
		"a revocation without a moment":     {{Revoked: NewRevoked(issued(0).Issued, "superseded", time.Time{}, "ops")}},
		"what the certificate does not say": {sameSerial},
	} {
		t.Run(name, func(t *testing.T) {
			if _, _, err := register.extend(records, noon); err == nil {
				t.Error("want an error")
			}
			if register.Head().Count != 1 {
				t.Error("the register has changed")
			}
		})
	}
	if _, _, err := register.extend([]Record{issued(1), revoked(1, noon)}, noon); err != nil {
		t.Errorf("issued and revoked at once: %v", err)
	}
	if found, _ := register.Certificate(issued(0).Issued.CertificateSHA256); found.Revocation != nil {
		t.Error("what was only tried is seen")
	}
}

// change makes one random change to lines: what an attacker could do, or a broken disk.
func change(random *rand.Rand, all []string) []string {
	changed := slices.Clone(all)
	i := random.IntN(len(changed))
	switch random.IntN(6) {
	case 0: // a byte
		line := []byte(changed[i])
		line[random.IntN(len(line))] ^= byte(1 + random.IntN(255))
		changed[i] = string(line)
	case 1: // a line is missing
		changed = slices.Delete(changed, i, i+1)
	case 2: // a line is there twice
		changed = slices.Insert(changed, random.IntN(len(changed)+1), changed[i])
	case 3: // two lines have changed places
		j := random.IntN(len(changed))
		changed[i], changed[j] = changed[j], changed[i]
	case 4: // the end is missing
		changed = changed[:i]
	case 5: // a byte is missing or there twice
		line := changed[i]
		at := random.IntN(len(line))
		changed[i] = line[:at] + strings.Repeat(line[at:at+1], 2*random.IntN(2)) + line[at+1:]
	}
	return changed
}

func TestEveryChangeIsFound(t *testing.T) {
	data := lines(t, issued(0), issued(1), revoked(0, noon), issued(2), revoked(2, noon.Add(time.Hour)), issued(3), revoked(1, noon))
	head := mustRead(t, data).Head()
	original := split(data)
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		changed := change(random, original)
		if slices.Equal(changed, original) {
			continue
		}
		register, err := Read([]byte(strings.Join(changed, "")))
		var broken *BrokenError
		switch {
		case err == nil && register.Check(head) == nil:
			t.Fatalf("not found:\n%s", strings.Join(changed, ""))
		case err != nil && (!errors.As(err, &broken) || broken.Line == 0 || broken.Line > uint64(len(changed))+1):
			t.Fatalf("the line is not told: %v", err)
		}
	}
}

func TestARegisterRewrittenAsAWholeIsFoundByItsHead(t *testing.T) {
	head := mustRead(t, lines(t, issued(0), issued(1))).Head()
	rewritten := mustRead(t, lines(t, issued(0), issued(2), issued(3)))
	var broken *BrokenError
	if err := rewritten.Check(head); !errors.As(err, &broken) || broken.Line != 2 {
		t.Errorf("error %v", err)
	}
	if err := rewritten.Check(Head{Hash: Origin}); err != nil {
		t.Errorf("held against the empty head: %v", err)
	}
	grown := mustRead(t, lines(t, issued(0), issued(1), issued(2)))
	if err := grown.Check(head); err != nil {
		t.Errorf("a register that has grown: %v", err)
	}
}

func FuzzRead(f *testing.F) {
	_, data, err := (&Register{}).extend([]Record{issued(0), revoked(0, noon)}, noon)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte("{}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		register, err := Read(data)
		if err != nil {
			return
		}
		var again []byte
		for _, entry := range register.Entries(0, 0) {
			line, err := entry.encode()
			if err != nil {
				t.Fatal(err)
			}
			again = append(append(again, line...), '\n')
		}
		if !bytes.Equal(again, data) {
			t.Errorf("read %q, would write %q", data, again)
		}
	})
}

func TestCertificatesAreFoundByTheirConsumer(t *testing.T) {
	again := issued(2)
	again.Issued.Consumer = "partner-0"
	register := mustRead(t, lines(t, issued(0), issued(1), again, revoked(0, noon)))
	found := register.OfConsumer("partner-0")
	if len(found) != 2 || found[0].Sequence != 1 || found[1].Sequence != 3 || found[0].Revocation == nil {
		t.Errorf("%+v", found)
	}
	if found := register.OfConsumer("nobody"); found != nil {
		t.Errorf("%+v", found)
	}
}
