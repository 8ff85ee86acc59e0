package testcloud

import (
	_ "embed" // for the program
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
)

//go:embed moto.py
var motoProgram string

// Moto answers as Secrets Manager and KMS do.
type Moto struct{ Cloud }

// motoAddress is in what the server prints when it listens.
var motoAddress = regexp.MustCompile(`Running on (http://127\.0\.0\.1:[0-9]+)`)

// StartMoto starts the server, with no secrets and no keys.
func StartMoto(t testing.TB) *Moto {
	t.Helper()
	python := tool(t, filepath.Join("moto", "bin", "python"), "cloud-mock")
	command := exec.CommandContext(t.Context(), python, "-c", motoProgram, "-H", "127.0.0.1", "-p", "0")
	command.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1", "PYTHONUNBUFFERED=1")
	process := start(t, command)
	var address []string
	process.until(t, "listened", func() bool {
		address = motoAddress.FindStringSubmatch(process.output.String())
		return address != nil
	})
	return &Moto{cloud(address[1], "AWS_ENDPOINT_URL_SECRETS_MANAGER", "AWS_ENDPOINT_URL_KMS")}
}

func (m *Moto) credentials() aws.CredentialsProvider {
	return credentials.NewStaticCredentialsProvider(accessKey, secretKey, "")
}

// PutSecret makes a secret, or gives one another value.
func (m *Moto) PutSecret(t testing.TB, name, value string) {
	t.Helper()
	client := secretsmanager.New(secretsmanager.Options{BaseEndpoint: aws.String(m.Endpoint), Region: region, Credentials: m.credentials()})
	_, err := client.PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{SecretId: aws.String(name), SecretString: aws.String(value)})
	if err == nil {
		return
	}
	if _, err := client.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: aws.String(name), SecretString: aws.String(value)}); err != nil {
		t.Fatal(err)
	}
}

// CreateKey makes a key for signing and returns its id. An alias, such as alias/ca, is added unless it is empty.
func (m *Moto) CreateKey(t testing.TB, spec types.KeySpec, alias string) (id string) {
	t.Helper()
	client := kms.New(kms.Options{BaseEndpoint: aws.String(m.Endpoint), Region: region, Credentials: m.credentials()})
	created, err := client.CreateKey(t.Context(), &kms.CreateKeyInput{KeySpec: spec, KeyUsage: types.KeyUsageTypeSignVerify})
	if err != nil {
		t.Fatal(err)
	}
	id = aws.ToString(created.KeyMetadata.KeyId)
	if alias == "" {
		return id
	}
	if _, err := client.CreateAlias(t.Context(), &kms.CreateAliasInput{AliasName: aws.String(alias), TargetKeyId: aws.String(id)}); err != nil {
		t.Fatal(err)
	}
	return id
}
