package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"

	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/admin"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/authority"
	"github.com/sallyport-project/sallyport/pki/enrolment"
	"github.com/sallyport-project/sallyport/pki/issuer"
)

// authorityTimeout bounds what an authority is asked for: a list may have to be published to several places.
const authorityTimeout = 2 * time.Minute

// authorityContext bounds what an authority is asked for.
func authorityContext(cmd *cobra.Command) (context.Context, context.CancelFunc) {
	return context.WithTimeout(cmd.Context(), authorityTimeout)
}

// authorityFlags say which certificate authority a verb works with: a home on this machine, a server by its admin socket, or
// a server elsewhere.
type authorityFlags struct {
	dir, passphrase         string
	socket                  string
	server, serverCA        string
	certificate, privateKey string
	// name is the authority's among those of a server.
	name string
}

// flags adds the flags.
func (f *authorityFlags) flags(cmd *cobra.Command) {
	f.homeFlags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&f.socket, "admin-socket", admin.DefaultSocket, "admin socket of a server with --roles ca; asked unless --ca or --server is given")
	flags.StringVar(&f.server, "server", "", "a server that listens with --ca-listen, host:port")
	flags.StringVar(&f.serverCA, "server-ca", "", "with --server: the CA of our own processes in PEM, by which the server is verified")
	flags.StringVar(&f.certificate, "operator-certificate", "", "with --server: your certificate in PEM; made by sallyport ca issue --profile operator")
	flags.StringVar(&f.privateKey, "operator-key", "", "with --server: your private key in PEM")
	flags.StringVar(&f.name, "authority", "", "which authority of the server; may be left out where it holds one")
}

// homeFlags adds those of a home on this machine.
func (f *authorityFlags) homeFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.dir, "ca", "", "home of the authority on this machine, as sallyport ca init makes it")
	cmd.Flags().StringVar(&f.passphrase, "ca-passphrase", "", "with --ca: where the passphrase of its key is, such as file:PATH, env:NAME or secretsmanager:NAME; default: you are asked")
	_ = cmd.MarkFlagDirname("ca") // the flag exists
}

// open returns the authority, and how to end with it.
func (f *authorityFlags) open(cmd *cobra.Command, s streams) (authority.Authority, func(), error) {
	switch {
	case f.dir != "" && f.server != "":
		return nil, nil, usageError{errors.New("--ca and --server name two authorities: give one")}
	case f.dir != "" && f.name != "":
		return nil, nil, usageError{errors.New("--authority is for a server; --ca names the authority already")}
	case f.dir != "":
		opened, err := f.home(cmd, s)
		if err != nil {
			return nil, nil, err
		}
		logger, err := newLogger(cmd, s)
		if err != nil {
			return nil, nil, err
		}
		return authority.Local(map[string]*issuer.Issuer{authority.Home{Dir: f.dir}.Name(): opened}, logger), func() {}, nil
	case f.server != "":
		settings, err := f.tls()
		if err != nil {
			return nil, nil, usageError{err}
		}
		return authority.DialServer(f.server, settings)
	default:
		return authority.DialSocket(f.socket)
	}
}

// home opens the home in --ca.
func (f *authorityFlags) home(cmd *cobra.Command, s streams) (*issuer.Issuer, error) {
	return f.homeAsking(cmd, s, "--ca-passphrase")
}

// homeAsking opens the home in --ca, whose keys are opened by the passphrase of a flag.
func (f *authorityFlags) homeAsking(cmd *cobra.Command, s streams, flag string) (*issuer.Issuer, error) {
	if f.dir == "" {
		return nil, usageError{errors.New("--ca is missing: the home of an authority on this machine; `sallyport ca init` makes one")}
	}
	logger, err := newLogger(cmd, s)
	if err != nil {
		return nil, err
	}
	opened, err := authority.Home{Dir: f.dir, Passphrase: passphrases(s, flag, f.passphrase).Ask, Logger: quiet(logger)}.Open()
	if err != nil {
		return nil, usageError{fmt.Errorf("--ca: %w", err)}
	}
	return opened, nil
}

// passphrases are got by a reference, or by asking.
func passphrases(s streams, flag, reference string) authority.Passphrases {
	return authority.Passphrases{Reference: reference, Flag: flag, In: s.in, Out: s.err}
}

// tls is how an operator speaks to a server elsewhere.
func (f *authorityFlags) tls() (*tls.Config, error) {
	for flag, value := range map[string]string{"--server-ca": f.serverCA, "--operator-certificate": f.certificate, "--operator-key": f.privateKey} {
		if value == "" {
			return nil, fmt.Errorf("--server needs --server-ca, --operator-certificate and --operator-key: %s is missing", flag)
		}
	}
	pair, err := tls.LoadX509KeyPair(f.certificate, f.privateKey)
	if err != nil {
		return nil, fmt.Errorf("--operator-certificate, --operator-key: %w", err)
	}
	content, err := os.ReadFile(f.serverCA)
	if err != nil {
		return nil, fmt.Errorf("--server-ca: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(content) {
		return nil, fmt.Errorf("--server-ca: %s holds no certificate", f.serverCA)
	}
	return enrolment.ClientTLS(pool, &pair, time.Now), nil
}

// asUsage makes an error that another command line mends one of the command line.
func asUsage(err error) error {
	if errors.Is(err, authority.ErrMistake) {
		return usageError{err}
	}
	return err
}

// quiet logs nothing but what is wrong: a verb tells what it did by itself.
func quiet(logger hclog.Logger) hclog.Logger {
	if logger.GetLevel() == hclog.Info {
		logger.SetLevel(hclog.Warn)
	}
	return logger
}
