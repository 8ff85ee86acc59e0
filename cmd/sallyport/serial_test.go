package main

import (
	"strings"
	"testing"
)

func TestASerialNumberIsReadAsOthersPrintIt(t *testing.T) {
	fingerprint := "00" + strings.Repeat("ab", 31)
	for written, want := range map[string]string{
		"35be": "35be", "035BE2": "35be2", "03:5B:E2": "35be2", "0x35be": "35be", "": "", fingerprint: fingerprint, strings.ToUpper(fingerprint): fingerprint,
	} {
		if got := serialNumber(written); got != want {
			t.Errorf("%s is read as %s, want %s", written, got, want)
		}
	}
}
