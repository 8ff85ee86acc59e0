package terminal_test

import (
	"testing"

	"github.com/sallyport-project/sallyport/internal/terminal"
)

func TestATerminalIsToldNothingButText(t *testing.T) {
	for text, want := range map[string]string{
		"plain, and élan": "plain, and élan",
		"\x1b[2Jgone":     "�[2Jgone",
		"two\nlines\r":    "two�lines�",
		"\u009b31m":       "�31m",
	} {
		if got := terminal.Safe(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}
