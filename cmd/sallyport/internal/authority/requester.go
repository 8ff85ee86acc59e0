package authority

import (
	"context"
	"os"
	"os/user"
	"strconv"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"

	"github.com/sallyport-project/sallyport/authz/asker"
	"github.com/sallyport-project/sallyport/pki/spiffe"
)

// RequestedBy says who makes a call, for the register: `unix:` and the user's name by what the kernel says of the socket's
// other end, or the identity in an operator's certificate, which the server must have verified.
func RequestedBy(ctx context.Context) string {
	p, _ := peer.FromContext(ctx)
	if p == nil {
		return "unknown"
	}
	switch info := p.AuthInfo.(type) {
	case asker.SocketInfo:
		return "unix:" + userName(info.User)
	case credentials.TLSInfo:
		if len(info.State.VerifiedChains) == 0 {
			return "unknown"
		}
		if identity, err := spiffe.FromCertificate(info.State.VerifiedChains[0][0]); err == nil {
			return identity.String()
		}
	}
	return "unknown"
}

// userName is what the system calls a user, or the number where it has no name.
func userName(id int) string {
	number := strconv.Itoa(id)
	found, err := user.LookupId(number)
	if err != nil {
		return number
	}
	return found.Username
}

// User is who runs this process, as the register has it.
func User() string { return userName(os.Getuid()) }
