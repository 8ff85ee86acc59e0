package main

import (
	"crypto/sha256"
	"strings"
)

// serialNumber is a serial number as the register has it, in lower-case hexadecimal without leading zeros, however people have it: openssl
// prints capitals, whole bytes, and colons between them. A certificate's SHA-256, which may stand in its place, keeps its zeros.
func serialNumber(written string) string {
	number := strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(written, "0x"), ":", ""))
	if len(number) == 2*sha256.Size {
		return number
	}
	return strings.TrimLeft(number, "0")
}
