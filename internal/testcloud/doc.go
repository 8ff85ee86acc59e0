// Package testcloud starts what stands for Amazon's services in tests: a real S3 server on a folder (versitygw), and a
// server that answers as Secrets Manager and KMS do (moto). It is for tests only, and nothing that ships imports it.
//
// What it starts listens on loopback or on a socket in a folder of its own, and ends with the test. A test whose tool is
// not installed fails, and says which target of make installs it.
package testcloud

import (
	"strings"
	"testing"
)

// The credentials that the servers take. They open nothing else.
const (
	accessKey = "testcloud"
	secretKey = "testcloud-secret"
	region    = "eu-west-2"
)

// Cloud is what a program must have in its environment to speak to a server that was started here.
type Cloud struct {
	// Endpoint is the server's address, http://127.0.0.1:PORT.
	Endpoint string
	// Env holds NAME=VALUE for the SDK's default chain: credentials, region, the endpoint, and nothing of this machine's
	// own configuration.
	Env []string
}

// cloud makes the environment in which a variable of the SDK holds the endpoint.
func cloud(endpoint string, variables ...string) Cloud {
	env := []string{
		"AWS_ACCESS_KEY_ID=" + accessKey,
		"AWS_SECRET_ACCESS_KEY=" + secretKey,
		"AWS_REGION=" + region,
		"AWS_CONFIG_FILE=/dev/null",
		"AWS_SHARED_CREDENTIALS_FILE=/dev/null",
		"AWS_EC2_METADATA_DISABLED=true",
	}
	for _, variable := range variables {
		env = append(env, variable+"="+endpoint)
	}
	return Cloud{Endpoint: endpoint, Env: env}
}

// Nowhere is an environment that leads to no server, and names no region.
func Nowhere() Cloud {
	return Cloud{Env: []string{
		"AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY=", "AWS_REGION=", "AWS_DEFAULT_REGION=", "AWS_PROFILE=",
		"AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null", "AWS_EC2_METADATA_DISABLED=true",
	}}
}

// Use puts Env into the environment of the test's own process, until the test ends.
func (c Cloud) Use(t testing.TB) {
	t.Helper()
	for _, setting := range c.Env {
		name, value, _ := strings.Cut(setting, "=")
		t.Setenv(name, value)
	}
}
