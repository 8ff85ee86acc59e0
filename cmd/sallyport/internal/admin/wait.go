package admin

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	adminv1 "github.com/sallyport-project/sallyport/proto/sallyport/admin/v1"
)

// Condition tells whether something has arrived at a server. Missing says in a few words what has not.
type Condition func(context.Context, adminv1.AdminServiceClient) (missing string, err error)

// lookEvery is how often a server is asked while somebody waits for it.
const lookEvery = 100 * time.Millisecond

// Await asks the server behind each socket until the condition holds there, or the context ends. A server that does not
// answer is waited for like one that is behind; the error then says which servers have not confirmed, and why.
func Await(ctx context.Context, sockets []string, condition Condition) error {
	results := make(chan error, len(sockets))
	for _, socket := range sockets {
		go func() { results <- awaitOne(ctx, socket, condition) }()
	}
	var wrong []error
	for range sockets {
		if err := <-results; err != nil {
			wrong = append(wrong, err)
		}
	}
	return errors.Join(wrong...)
}

func awaitOne(ctx context.Context, socket string, condition Condition) error {
	client, closeClient, err := Dial(socket)
	if err != nil {
		return err
	}
	defer closeClient()
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		missing, err := condition(ctx, client)
		switch {
		case err == nil && missing == "":
			return nil
		case status.Code(err) == codes.Unimplemented:
			return fmt.Errorf("the server at %s is of an earlier version and cannot confirm", socket)
		case err != nil && ctx.Err() == nil:
			missing = Explain(ctx, socket, err).Error()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the server at %s has not confirmed: %s", socket, missing)
		case <-look.C:
		}
	}
}

// ConsumerIs holds once a consumer is known, or is not, and is suspended, or is not.
func ConsumerIs(name string, known, suspended bool) Condition {
	return func(ctx context.Context, client adminv1.AdminServiceClient) (string, error) {
		found, err := client.GetConsumer(ctx, &adminv1.GetConsumerRequest{Name: name})
		switch {
		case err != nil:
			return "", err
		case found.GetKnown() != known:
			return fmt.Sprintf("the revision in force there, %s, is another", found.GetRevision()), nil
		case found.GetSuspended() != suspended:
			return "the consumer's suspension has not arrived", nil
		}
		return "", nil
	}
}

// ListIs holds once every truststore that has a list of one of the authorities, as GetStatus names them, has this number of it
// or a later one, and of the register's index where it has that; at least one truststore has a list, and every proxy has what
// came of it.
func ListIs(authorities []string, number string) Condition {
	wanted, valid := new(big.Int).SetString(number, 10)
	return func(ctx context.Context, client adminv1.AdminServiceClient) (string, error) {
		if !valid {
			return "", fmt.Errorf("%q is not the number of a list", number)
		}
		state, err := client.GetStatus(ctx, &adminv1.GetStatusRequest{})
		if err != nil {
			return "", err
		}
		behind, found := behind(state, authorities, wanted)
		switch {
		case len(behind) > 0:
			return "an earlier list is in force in " + strings.Join(behind, ", "), nil
		case !found:
			return "no truststore there has a list of the authority", nil
		case len(state.GetProxiesBehind()) > 0:
			return "these proxies have not: " + strings.Join(state.GetProxiesBehind(), ", "), nil
		}
		return "", nil
	}
}

// behind names the truststores that have an earlier list of the authorities, or an earlier index of their register, and
// tells whether any has a list at all.
func behind(state *adminv1.GetStatusResponse, authorities []string, wanted *big.Int) (names []string, found bool) {
	for _, truststore := range state.GetTruststores() {
		for _, list := range truststore.GetLists() {
			if !slices.Contains(authorities, list.GetAuthority()) {
				continue
			}
			found = true
			if number, ok := new(big.Int).SetString(list.GetNumber(), 10); !ok || number.Cmp(wanted) < 0 {
				names = append(names, truststore.GetName())
			}
		}
		for _, register := range truststore.GetRegisters() {
			ours := slices.ContainsFunc(register.GetKeys(), func(key string) bool { return slices.Contains(authorities, key) })
			if number, ok := new(big.Int).SetString(register.GetNumber(), 10); ours && (!ok || number.Cmp(wanted) < 0) {
				names = append(names, truststore.GetName())
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names), found
}
