package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

func newToken(s streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Look into bearer tokens",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newTokenInspect(s))
	return cmd
}

// maxTypedToken is how much is read from standard input, in bytes: more than any token that is taken.
const maxTypedToken = 64 << 10

// readToken reads a token from standard input. An argument would be seen by everybody who lists processes, and kept in the shell's history.
// What stands before it in an Authorization header may be there.
func readToken(s streams) (string, error) {
	if file, ok := s.in.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		fmt.Fprintln(s.err, "Paste the token, press Enter, then Ctrl-D. (A terminal cuts lines of more than 4095 characters: use a pipe or a file for longer ones.)")
	}
	content, err := io.ReadAll(io.LimitReader(s.in, maxTypedToken+1))
	if err != nil {
		return "", fmt.Errorf("read the token from standard input: %w", err)
	}
	if len(content) > maxTypedToken {
		return "", usageError{fmt.Errorf("standard input has more than %d KiB: that is no token", maxTypedToken>>10)}
	}
	token := strings.TrimSpace(string(content))
	for _, before := range []string{"authorization:", "bearer "} {
		if len(token) > len(before) && strings.EqualFold(token[:len(before)], before) {
			token = strings.TrimSpace(token[len(before):])
		}
	}
	if token == "" {
		return "", usageError{errors.New("there is no token on standard input")}
	}
	return token, nil
}
