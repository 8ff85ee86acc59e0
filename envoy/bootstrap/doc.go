// Package bootstrap owns the files that an Envoy of ours starts with: where the control plane and the authorization
// service are, who this proxy is and how it proves that, its admin socket and its limits. All the rest comes by xDS.
//
// New is a pure function from a Config to the files' contents. The package never makes keys or certificates, never
// reads them (Envoy does, from the paths given), and never runs an Envoy (package process does).
package bootstrap
