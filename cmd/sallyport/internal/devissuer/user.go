package devissuer

// user is one of the ready-made users. Their names say what they are.
type user struct {
	Name, Description string
	roles, scopes     bool
}

var users = []user{
	{Name: "clerk", Description: "has every role and every scope", roles: true, scopes: true},
	{Name: "visitor", Description: "has every scope and no role", scopes: true},
	{Name: "nobody", Description: "is signed in, and has neither roles nor scopes"},
}

// Users are the names of the ready-made users with what each of them has, in words for people.
func Users() [][2]string {
	var all [][2]string
	for _, u := range users {
		all = append(all, [2]string{u.Name, u.Description})
	}
	return all
}

// userNamed is the user of that name.
func userNamed(name string) (user, bool) {
	for _, u := range users {
		if u.Name == name {
			return u, true
		}
	}
	return user{}, false
}

// Roles are what the user has of an issuer's.
func (u user) Roles(issuer Issuer) []string {
	if !u.roles {
		return nil
	}
	return issuer.Roles
}

// Scopes are what the user may be given of an issuer's.
func (u user) Scopes(issuer Issuer) []string {
	if !u.scopes {
		return nil
	}
	return issuer.Scopes
}

// SpecOf is a token about a ready-made user, with all that the issuer lets that user have. About anybody else it asserts neither
// roles nor scopes.
func (i Issuer) SpecOf(name string) TokenSpec {
	u, _ := userNamed(name)
	return TokenSpec{Subject: name, Roles: u.Roles(i), Scopes: u.Scopes(i)}
}
