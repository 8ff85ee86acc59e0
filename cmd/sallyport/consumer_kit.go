package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/sallyport-project/sallyport/pki/ca"
	"github.com/sallyport-project/sallyport/pki/kit"
)

// kitFlags say what the partner gets.
type kitFlags struct {
	out, gatewayCA, support string
	urls                    []string
}

func (f *kitFlags) flags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.out, "out", "", "folder for the partner kit; made if it is not there, and nothing in it is overwritten (required)")
	flags.StringSliceVar(&f.urls, "url", nil, "what the partner may call, https with a path, for the kit's README; may be repeated (required)")
	flags.StringVar(&f.gatewayCA, "gateway-ca", "", "CA in PEM that the gateway's certificate is verified with; default: one that every system trusts")
	flags.StringVar(&f.support, "support", "", "whom the partner is to write to, for the kit's README")
	_ = cmd.MarkFlagRequired("out") // the flags exist
	_ = cmd.MarkFlagRequired("url")
	_ = cmd.MarkFlagDirname("out")
}

// delivery is a kit before it is written.
type delivery struct {
	kitFlags
	key      *keyFlags
	consumer string
	gateway  []*x509.Certificate
}

// prepare reads what the kit needs, and makes one by way of trial with a certificate of nobody's, so that nothing is issued
// for a kit that cannot be made.
func (f kitFlags) prepare(consumer string, key *keyFlags, requested requestedKey) (*delivery, error) {
	d := &delivery{kitFlags: f, key: key, consumer: consumer}
	if f.gatewayCA != "" {
		content, err := os.ReadFile(f.gatewayCA)
		if err != nil {
			return nil, fmt.Errorf("--gateway-ca: %w", err)
		}
		if d.gateway, err = ca.ParseCertificates(content); err != nil {
			return nil, fmt.Errorf("--gateway-ca: %s: %w", f.gatewayCA, err)
		}
	}
	trial, err := ca.Create(ca.Options{CommonName: "trial"})
	if err != nil {
		return nil, err
	}
	pair, err := trial.Issue(ca.Request{Profile: ca.Partner, Subject: subjectOf(consumer), PublicKey: requested.public})
	if err != nil {
		return nil, err
	}
	files, _, err := d.pack([]*x509.Certificate{pair.Certificate}, requested)
	if err != nil {
		return nil, err
	}
	for _, name := range files.names() {
		if _, err := os.Lstat(filepath.Join(f.out, name)); !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("--out: %s exists and is never overwritten: name another folder", filepath.Join(f.out, name))
		}
	}
	return d, f.checkOut()
}

// checkOut makes sure that the folder can be made.
func (f kitFlags) checkOut() error {
	for folder := filepath.Clean(f.out); ; folder = filepath.Dir(folder) {
		info, err := os.Stat(folder)
		switch {
		case err == nil && info.IsDir():
			return nil
		case err == nil:
			return fmt.Errorf("--out: %s is no folder", folder)
		case !errors.Is(err, fs.ErrNotExist) || folder == filepath.Dir(folder):
			return fmt.Errorf("--out: %w", err)
		}
	}
}

// packed is a kit in the form in which it is written: as files, or as one that is encrypted.
type packed struct {
	kit       *kit.Kit
	name      string
	encrypted []byte
}

func (p packed) names() []string {
	if p.encrypted != nil {
		return []string{p.name}
	}
	return p.kit.Files()
}

// pack makes the kit of a certificate and those above it, and the password if it has one.
func (d *delivery) pack(chain []*x509.Certificate, requested requestedKey) (packed, string, error) {
	made, err := kit.New(kit.Config{
		Consumer: d.consumer, Certificate: chain[0], Chain: chain[1:], PrivateKey: requested.private,
		GatewayCA: d.gateway, URLs: d.urls, Contact: d.support,
	})
	if err != nil {
		return packed{}, "", err
	}
	switch {
	case requested.private == nil:
		return packed{kit: made}, "", nil
	case d.key.pkcs12:
		encrypted, password, err := made.PKCS12()
		return packed{kit: encrypted}, password, err
	default:
		encrypted, err := made.EncryptAge(d.key.age)
		return packed{name: d.consumer + ".zip.age", encrypted: encrypted}, "", err
	}
}

// write makes the kit and writes it. It returns the files, and the password if there is one.
func (d *delivery) write(chain []*x509.Certificate, requested requestedKey) (files []string, password string, err error) {
	p, password, err := d.pack(chain, requested)
	if err != nil {
		return nil, "", err
	}
	if p.encrypted != nil {
		err = d.writeEncrypted(p)
	} else {
		err = p.kit.Write(d.out)
	}
	if err != nil {
		return nil, "", fmt.Errorf("write the kit: %w", err)
	}
	for _, name := range p.names() {
		files = append(files, filepath.Join(d.out, name))
	}
	return files, password, nil
}

// writeEncrypted writes a kit that is one file. It never overwrites.
func (d *delivery) writeEncrypted(p packed) error {
	if err := os.MkdirAll(d.out, 0o700); err != nil {
		return err
	}
	return createFile(filepath.Join(d.out, p.name), p.encrypted, 0o644)
}
