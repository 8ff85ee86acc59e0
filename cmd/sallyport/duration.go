package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// duration is a flag's value that may be in days: 60d, or as Go writes it, 36h. It is not negative.
type duration time.Duration

// Set reads it.
func (d *duration) Set(text string) error {
	if days, isDays := strings.CutSuffix(text, "d"); isDays {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil { // 180 years at most
			*d = duration(time.Duration(n) * 24 * time.Hour)
			return nil
		}
	} else if parsed, err := time.ParseDuration(text); err == nil && parsed >= 0 {
		*d = duration(parsed)
		return nil
	}
	return fmt.Errorf("expected a time such as 60d or 36h, found %q", text)
}

// String writes whole days as such.
func (d *duration) String() string {
	const day = 24 * time.Hour
	switch of := time.Duration(*d); {
	case of == 0:
		return ""
	case of%day == 0:
		return strconv.Itoa(int(of/day)) + "d"
	default:
		return of.String()
	}
}

// Type names it in the usage text.
func (d *duration) Type() string { return "duration" }

// daysVar adds a flag for a duration that may be given in days.
func daysVar(flags *pflag.FlagSet, p *time.Duration, name string, value time.Duration, usage string) {
	*p = value
	flags.Var((*duration)(p), name, usage)
}
