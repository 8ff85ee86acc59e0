package document
import ("testing";"fmt")
func TestZZ(t *testing.T){
 head:="api_version: sallyport/v1\nkind: %s\nmetadata: {name: a}\nspec: "
 for _,c:=range [][2]string{
 {"Certificate","{issued: {authority: x}}"},
 {"Certificate","{}"},
 {"Certificate","{issued: {authority: x, profile: server, dns_names: [a, a], ip_addresses: [nope], uris: ['::'], lifetime: 1s, common_name: "+fmt.Sprintf("%070d",1)+"}}"},
 {"Gateway","{}"},
 {"Gateway","{group: A_b, authorization: {timeout: 1h}, listeners: [{name: x, address: foo, port: 0, tls: [{hostnames: [A:1]}]}]}"},
 {"Gateway","{group: a, listeners: []}"},
 {"Gateway","{group: a, listeners: [{name: x, address: 1.1.1.1, port: 99999}]}"},
 {"Role","{permissions: [{routes: [], methods: [get], paths: []}]}"},
 {"Policy","{authenticate: {}, authorize: []}"},
 {"Policy","{authenticate: {any_of: []}, authorize: [{name: x}, {name: y, everyone: false}, {name: z, permissions: foo}, {name: w, consumers: []}, {name: v, consumers: [a, a]}]}"},
 {"Consumer","{certificates: [{truststore: a}, {truststore: a, serial: 0a, spki_sha256: zz}, {truststore: a, serial: '0A', issuer_dn: x}]}"},
 {"Upstream","{endpoints: {dns: foo}}"},
 {"Upstream","{endpoints: {addresses: [foo, foo]}, tls: {truststore: a, server_name: '-'}}"},
 {"Route","{gateway: a, hostnames: [a.b], rules: [{name: a, match: {methods: [get]}, upstreams: [{name: a, weight: 0}], policy: a, timeout: 0s}, {name: b, match: {exact: /a, headers: [{name: X}, {name: x, present: false}]}, upstreams: [], policy: a}]}"},
 {"Test","{via: a, cases: [{name: a, request: {method: get, url: foo}, expect: {status: 9}, caller: {}}, {name: b}]}"},
 {"Authority","{material: {}}"},
 } {
  docs,_,ps:=Decode("f.yaml",[]byte(fmt.Sprintf(head,c[0])+c[1]+"\n"))
  _ = docs
  fmt.Println("##",c[0],c[1]); for _,p:=range ps{fmt.Println("  ",p.Error())}
 }
 for _,s:=range []string{
  "api_version: v2\nkind: Role\nmetadata: {name: '', labels: {'': x, team: y}}\nspec: {permissions: [{routes: [a], paths: [/]}]}",
  "kind: [a]\n","kind: Gatway\nmetadata: {name: a}", "[a]\n","a\n","a: b: c\n","a:\n\tb: c\n","a: *x\n","kind: Role\nspec: *x\n", "\xef\xbb\xbfkind: Role\nfoo: 1\n","kind: Role\r\nfoo: 1\r\n","kind: Role\nkind: Role\n","? [a]\n: b\n","kind: Role\n<<: {a: b}\n","kind: &x Role\nmetadata: *x\n","# only\n","---\n---\n","","kind: Provider\nmetadata: {name: a}\n","a: 'x\n","a: \"\\q\"\n","{a\n","\x00","a: [b\nc: d\n","%YAML 9\n---\na: b\n", "kind: Role\nmetadata: {name: 1}\nspec: {permissions: {routes: [a]}}\n","kind: Role\nmetadata: name\nspec: [a]\n", "- a\n-b\n", "\xff\xfe\n", "kind: Role\n...\nfoo\n",
 }{
  docs,complete,ps:=Decode("f.yaml",[]byte(s))
  fmt.Printf("## %q %d %t\n",s,len(docs),complete); for _,p:=range ps{fmt.Println("  ",p.Error())}
 }
}
