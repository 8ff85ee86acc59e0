// Package signingkey owns the private keys that sign tokens of our own: it generates them and keeps them in a file, or takes
// them as they are given, and says which one signs at a moment and which ones are published.
//
// Generated keys come and go by a schedule that is a pure function of time: a key is published before it signs, for as long as
// a verifier may go by a key set that it holds, and stays published until the last token that it signed has run out. So no
// good token ever meets a key set without its key.
//
// The package never makes or verifies a token, and never prints a key: IDs and hashes stand for them.
package signingkey
