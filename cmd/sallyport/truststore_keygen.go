package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/sallyport-project/sallyport/pki/ca"
)

// signingKeyOf is what `truststore keygen` prints.
type signingKeyOf struct {
	PrivateKey string `json:"private_key"`
	PublicKey  string `json:"public_key"`
}

func newTruststoreKeygen(s streams) *cobra.Command {
	var passphrase string
	var unencrypted bool
	cmd := &cobra.Command{
		Use:   "keygen DIR",
		Short: "Make a key that signs manifests",
		Long: `Writes signing-key.pem (ECDSA P-256, mode 0600), encrypted with a passphrase that you are asked for, and
signing-key.pub.pem, which belongs under ` + "`signers`" + ` of the Truststore. Nothing is ever overwritten.

Whoever has the key and can write the bundle can add an authority: keep the two apart.`,
		Example: `  sallyport truststore keygen keys
  sallyport truststore keygen keys --passphrase secretsmanager:truststore-signer`,
		Args: exactly("the folder to write to"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if unencrypted && passphrase != "" {
				return usageError{errors.New("--unencrypted and --passphrase exclude each other")}
			}
			made, err := makeSigningKey(cmd.Context(), args[0], func(ctx context.Context) ([]byte, error) {
				if unencrypted {
					return nil, nil
				}
				return passphrases(s, "--passphrase", passphrase).Choose(ctx, "Passphrase for the signing key")
			})
			if err != nil {
				return err
			}
			return write(cmd, s.out, made, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "%s\n%s\n", made.PrivateKey, made.PublicKey)
				return err
			})
		},
	}
	cmd.Flags().StringVar(&passphrase, "passphrase", "", "where the passphrase is, such as file:PATH or secretsmanager:NAME; default: you are asked")
	cmd.Flags().BoolVar(&unencrypted, "unencrypted", false, "write the key as it is")
	addOutput(cmd, "text", "json", "yaml")
	return cmd
}

func makeSigningKey(ctx context.Context, dir string, choose func(context.Context) ([]byte, error)) (signingKeyOf, error) {
	made := signingKeyOf{PrivateKey: filepath.Join(dir, "signing-key.pem"), PublicKey: filepath.Join(dir, "signing-key.pub.pem")}
	for _, path := range []string{made.PrivateKey, made.PublicKey} {
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			return made, usageError{fmt.Errorf("%s exists and is never overwritten", path)}
		}
	}
	passphrase, err := choose(ctx)
	if err != nil {
		return made, err
	}
	defer clear(passphrase)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return made, err
	}
	var private []byte
	if len(passphrase) > 0 {
		private, err = ca.EncryptPrivateKey(key, passphrase)
	} else {
		private, err = ca.EncodePrivateKey(key)
	}
	if err != nil {
		return made, err
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return made, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return made, err
	}
	if err := createFile(made.PrivateKey, private, 0o600); err != nil {
		return made, err
	}
	return made, createFile(made.PublicKey, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o644)
}

// createFile writes a file that is not there yet, and removes it again if that fails.
func createFile(path string, data []byte, mode fs.FileMode) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}
