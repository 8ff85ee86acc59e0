// Package edit changes the files of a configuration on behalf of an operator: it adds, suspends and removes Consumers and
// the certificates that are theirs, ready for review.
//
// It owns the bytes: an edit is spliced in where the YAML parser says that a node stands, and all else, comments, order,
// indentation, line ends, stays as it was written. Each edit is first a Plan, which has been proven: the whole directory is
// read again with the edit in it, and must mean what was asked for and nothing else. What cannot be proven is refused, and
// no file is touched. It never writes a file that has changed since it was read, and it never decides whether an edit is
// wise: that is the reviewer's.
package edit
