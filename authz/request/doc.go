// Package request owns the reading of envoy.service.auth.v3.CheckRequest: it turns what a proxy says of a request into a
// Request, or refuses what could be read in more than one way.
//
// Envoy has normalised the path and chosen the route before it asks (it never guesses a route again); what arrives in
// another form than Envoy's own comes from a proxy that is not set up by us, or hides something, and is refused. The
// package judges no caller and reads no certificate.
package request
