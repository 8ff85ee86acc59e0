package admin

import (
	"github.com/sallyport-project/sallyport/authz/tokens"
	"github.com/sallyport-project/sallyport/config"
	adminv1 "github.com/sallyport-project/sallyport/proto/sallyport/admin/v1"
)

// Tokens tell how it stands with Providers; *tokens.Tokens do.
type Tokens interface{ States() tokens.States }

// providerStates are those of a model's Providers, by name. They have no token and no secret.
func providerStates(model *config.Model, known tokens.States) []*adminv1.ProviderState {
	byName := map[string]*adminv1.ProviderState{}
	var states []*adminv1.ProviderState
	for _, p := range model.Providers() {
		state := &adminv1.ProviderState{Name: p.Name, Issuer: p.Issuers[0]}
		byName[p.Name], states = state, append(states, state)
	}
	for _, set := range known.KeySets {
		state := byName[set.Name]
		if state == nil {
			continue // of a model that is superseded
		}
		state.Static, state.KeyIds, state.FromDisk, state.LeftOut = set.Static, set.KeyIDs, set.FromDisk, set.LeftOut
		state.Problem, state.Since, state.Next = set.Set.Problem, timeOf(set.Since), timeOf(set.Next)
		if set.Set.KeySet != nil {
			state.Fetched, state.Until = timeOf(set.Set.Fetched), timeOf(set.Set.Until)
		}
	}
	for _, held := range known.Acquired {
		if state := byName[held.Provider]; state != nil {
			state.Acquired = append(state.Acquired, &adminv1.AcquiredTokenState{
				Origin: held.Origin.String(), Expires: timeOf(held.Expires), Refresh: timeOf(held.Refresh), Problem: held.Problem, Since: timeOf(held.Since),
			})
		}
	}
	return states
}
