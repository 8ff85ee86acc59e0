package authority

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/term"

	"github.com/sallyport-project/sallyport/pki/ca"
	"github.com/sallyport-project/sallyport/pki/material"
	"github.com/sallyport-project/sallyport/pki/material/aws"
)

// Passphrases gets the passphrases of private keys: by a reference, or at a terminal, where nothing that is typed is shown.
// No passphrase is ever the value of a flag.
type Passphrases struct {
	// Reference is where the passphrase is: file:, env: or secretsmanager:. One line end after it is dropped. Empty to ask.
	Reference string
	// Flag is how a person gives a Reference, for errors.
	Flag string
	// In is the terminal, if it is one, and Out where the question is written.
	In  io.Reader
	Out io.Writer
}

// Ask gets the passphrase of a key that is there. The caller clears it.
func (p Passphrases) Ask(ctx context.Context, prompt string) ([]byte, error) {
	if p.Reference != "" {
		return p.read(ctx)
	}
	return p.typeIn(ctx, prompt)
}

// Choose gets the passphrase of a key that is to be made. At a terminal it is typed twice.
func (p Passphrases) Choose(ctx context.Context, prompt string) ([]byte, error) {
	chosen, err := p.Ask(ctx, fmt.Sprintf("%s (at least %d characters)", prompt, ca.MinPassphrase))
	if err != nil {
		return nil, err
	}
	if len(chosen) < ca.MinPassphrase {
		clear(chosen)
		return nil, ca.ErrShortPassphrase
	}
	if p.Reference != "" {
		return chosen, nil
	}
	again, err := p.typeIn(ctx, "The same again")
	if err != nil {
		return nil, err
	}
	defer clear(again)
	if !bytes.Equal(chosen, again) {
		clear(chosen)
		return nil, errors.New("the two passphrases differ: nothing was done")
	}
	return chosen, nil
}

func (p Passphrases) read(ctx context.Context) ([]byte, error) {
	data, err := ReadReference(ctx, p.Reference)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.Flag, err)
	}
	data = bytes.Clone(data)
	return bytes.TrimSuffix(bytes.TrimSuffix(data, []byte("\n")), []byte("\r")), nil
}

// typeIn has a passphrase typed once. An interrupted question leaves the terminal as it was.
func (p Passphrases) typeIn(ctx context.Context, prompt string) ([]byte, error) {
	terminal, ok := p.In.(*os.File)
	if !ok || !term.IsTerminal(int(terminal.Fd())) {
		return nil, fmt.Errorf("a passphrase is needed, and there is no terminal to ask for it: say where it is with %s, such as %s file:PATH", p.Flag, p.Flag)
	}
	before, err := term.GetState(int(terminal.Fd()))
	if err != nil {
		return nil, fmt.Errorf("ask for a passphrase: %w", err)
	}
	fmt.Fprintf(p.Out, "%s: ", prompt)
	type line struct {
		text []byte
		err  error
	}
	typed := make(chan line, 1)
	go func() {
		text, err := term.ReadPassword(int(terminal.Fd()))
		typed <- line{text, err}
	}()
	select {
	case <-ctx.Done():
		fmt.Fprintln(p.Out)
		return nil, errors.Join(context.Cause(ctx), term.Restore(int(terminal.Fd()), before))
	case l := <-typed:
		fmt.Fprintln(p.Out)
		if l.err != nil {
			return nil, fmt.Errorf("ask for a passphrase: %w", l.err)
		}
		return l.text, nil
	}
}

// fetchTimeout is how long a reference over the network may take to be read.
const fetchTimeout = 30 * time.Second

// ReadReference reads what a person has named on the command line, once. A relative path starts from the working folder.
func ReadReference(ctx context.Context, text string) ([]byte, error) {
	reference, err := material.Parse(text)
	if err != nil {
		return nil, err
	}
	here, err := filepath.Abs(".")
	if err != nil {
		return nil, err
	}
	reference = reference.In(here)
	store := material.NewStore(material.Config{Fetchers: aws.New().Fetchers(), ColdWait: fetchTimeout, Timeout: fetchTimeout})
	if !reference.Remote() {
		return store.Read(reference)
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	store.Watch(ctx, []material.Source{{Reference: reference}})
	go func() { ended <- store.Run(ctx) }()
	data, err := store.Read(reference)
	cancel()
	return data, errors.Join(err, <-ended)
}
