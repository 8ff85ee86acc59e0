#!/usr/bin/env bash
# A partner's certificate from the first day to the last, on loopback: authorities, a truststore in S3, onboarding, renewal,
# suspension, revocation, a new authority, a bad truststore, and the proxies themselves. Each step checks its outcome, at the
# API as well, and prints a line. It ends what it has started.
#
#   examples/partner-certificates-s3/walkthrough.sh
#
# It needs bin/sallyport (`make build`), an Envoy, curl, openssl and python3. It starts an S3 server of its own
# (`make object-store`), unless AWS_ENDPOINT_URL and credentials lead to another. The ports can be chosen, see below; WORK is
# the folder to work in, which is then kept.
set -euo pipefail

example=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$example/../.." && pwd)
sallyport=${SALLYPORT_BIN:-$top/bin/sallyport}
envoy=${SALLYPORT_ENVOY:-$(command -v envoy || echo "$top/.tools/bin/envoy")}
: "${S3_PORT:=17070}" "${XDS_PORT:=18000}" "${AUTHZ_PORT:=18001}" "${HEALTH_PORT:=18002}" "${ENROL_PORT:=18003}"
: "${EDGE_PORT:=8443}" "${API_PORT:=9443}"

bucket=partner-certificates
bundle=s3://$bucket/truststore.pem
url=https://api.example.org:$EDGE_PORT

## Words of this script

steps=0
begin() { steps=$((steps + 1)) && printf '\n%d. %s\n' "$steps" "$*"; }
done_() { printf '   ok  %s\n' "$*"; }
fail() {
	printf 'walkthrough: %s\n' "$*" >&2
	exit 1
}

processes=()
# run NAME COMMAND...: starts a process; its pid is in $pid.
run() {
	local name=$1
	shift
	"$@" >>"$work/$name.log" 2>&1 &
	pid=$!
	processes+=("$pid")
}

# end PID: ends a process that run has started, and waits for its end.
end() {
	kill "$1" 2>/dev/null || true
	wait "$1" 2>/dev/null || true
}

finish() {
	local code=$?
	trap - EXIT INT TERM
	if ((code != 0)) && [[ -e $work/serve.log ]]; then
		grep -vE '\[(INFO|DEBUG)\]' "$work/serve.log" | tail -n 20 >&2 || true
	fi
	for started in "${processes[@]}"; do end "$started"; done
	if [[ -z ${WORK:-} ]]; then rm -rf "$work"; fi
	exit "$code"
}

# within SECONDS WHAT COMMAND...: waits until a command succeeds.
within() {
	local deadline=$((SECONDS + $1)) what=$2
	shift 2
	until "$@"; do
		((SECONDS < deadline)) || fail "in vain waited until $what"
		sleep 0.1
	done
}

# refuses CODE WORDS COMMAND...: the command must end with that code and say these words.
refuses() {
	local want=$1 words=$2 said code=0
	shift 2
	said=$("$@" 2>&1) || code=$?
	[[ $code == "$want" && $said == *"$words"* ]] || fail "$*: exit code $code, and it says: $said"
}

# prints WORDS COMMAND...: the command must succeed and print these words.
prints() {
	local words=$1 said
	shift
	said=$("$@") || fail "$*: exit code $?"
	[[ $said == *"$words"* ]] || fail "$*: it does not say $words: $said"
}

# field PATH: picks a value from JSON, such as certificate.serial.
field() {
	python3 -c 'import json, sys
value = json.load(sys.stdin)
for key in sys.argv[1].split("."):
    value = value[int(key)] if key.isdigit() else value[key]
print(value)' "$1"
}

# call PARTNER PATH: calls the edge with the partner's certificate and key, and prints the status.
call() {
	curl --silent --max-time 10 --output "$work/answer" --write-out '%{http_code}' \
		--cacert "$work/pki/internal/bundle.pem" --resolve "api.example.org:$EDGE_PORT:127.0.0.1" \
		--cert "$work/partners/$1/chain.pem" --key "$work/partners/$1/key.pem" "$url$2" || true
}

reached() { wc -l <"$work/api.log"; }

# expect PARTNER PATH STATUS [REASON]: calls, and judges the answer and what has reached the API.
expect() {
	local before status after
	before=$(reached)
	status=$(call "$1" "$2")
	after=$(reached)
	[[ $status == "$3" ]] || fail "$1 gets $status for $2, not $3: $(cat "$work/answer")"
	[[ -z ${4:-} ]] || grep -q "$4" "$work/answer" || fail "$1 gets $status for $2, but not because of $4: $(cat "$work/answer")"
	if [[ $3 == 200 && $2 != /v1/whoami ]]; then
		((after == before + 1)) || fail "the API has not seen $1 at $2"
	else
		((after == before)) || fail "the API has seen $1 at $2"
	fi
	done_ "$1 gets $3${4:+ ($4)} for $2"
}

answers() { [[ $(call "$1" "$2") == "$3" ]]; }
is_untrusted() { answers "$1" "$2" 403 && grep -q certificate_untrusted answer; }

# s3 METHOD PATH [CURL OPTION...]: speaks to S3 past all checks, as anybody can who may write the bucket.
s3() {
	local method=$1 path=$2
	shift 2
	curl --silent --show-error --fail --aws-sigv4 "aws:amz:$AWS_REGION:s3" --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" \
		--header 'x-amz-content-sha256: UNSIGNED-PAYLOAD' --request "$method" "$@" "$AWS_ENDPOINT_URL/$path"
}

status() { "$sallyport" proxy status --admin-socket "$socket" "$@"; }
says() { [[ $(status) == *"$1"* ]]; }
says_not() { ! says "$1"; }
connected() { status --output json | python3 -c 'import json, sys
sys.exit(not any(p["identity"].endswith(sys.argv[1]) and p["connected"] for p in json.load(sys.stdin)["proxies"]))' "$1"; }
disconnected() { ! connected "$1"; }
listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# key NAME SUBJECT [OPENSSL OPTION...]: a partner makes a key and a certificate request.
key() {
	local folder=$work/partners/$1 subject=$2
	shift 2
	mkdir -p "$folder"
	openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$folder/key.pem" -out "$folder/request.csr" -subj "$subject" "$@" 2>/dev/null
}

## The work begins

work=${WORK:-$(mktemp -d /tmp/walkthrough.XXXXXX)}
mkdir -p "$work"
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
cd "$work"
socket=$work/admin.sock
mkdir config pki keys partners kits
cp "$example"/*.yaml config
sed -i.orig "s/port: 8443/port: $EDGE_PORT/; s/127.0.0.1:9443/127.0.0.1:$API_PORT/" config/gateways.yaml
rm config/*.orig
touch api.log

begin "An S3 server, and a bucket that keeps versions"
if [[ -z ${AWS_ENDPOINT_URL:-} ]]; then
	export AWS_ENDPOINT_URL=http://127.0.0.1:$S3_PORT AWS_REGION=eu-west-2 AWS_ACCESS_KEY_ID=walkthrough AWS_SECRET_ACCESS_KEY=walkthrough-secret
	export AWS_CONFIG_FILE=/dev/null AWS_SHARED_CREDENTIALS_FILE=/dev/null AWS_EC2_METADATA_DISABLED=true
	mkdir -p s3/buckets s3/versions
	ROOT_ACCESS_KEY=$AWS_ACCESS_KEY_ID ROOT_SECRET_KEY=$AWS_SECRET_ACCESS_KEY run s3 "$top/.tools/bin/versitygw" \
		--port "127.0.0.1:$S3_PORT" --region "$AWS_REGION" --health /health --quiet posix --versioning-dir "$work/s3/versions" "$work/s3/buckets"
	within 30 "the S3 server answers" curl --silent --fail --output /dev/null "$AWS_ENDPOINT_URL/health"
fi
s3 PUT "$bucket"
printf '<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Status>Enabled</Status></VersioningConfiguration>' >versioning.xml
s3 PUT "$bucket?versioning=" --data-binary @versioning.xml
done_ "$AWS_ENDPOINT_URL/$bucket"

begin "Authorities: one for partners, one for our own processes, one for what the edge presents"
(umask 077 && openssl rand -hex 20 >passphrase)
secret=(--ca-passphrase "file:$work/passphrase")
"$sallyport" ca init pki/partners "${secret[@]}" --root-passphrase "file:$work/passphrase" --crl "s3://$bucket/partners.crl" >/dev/null
"$sallyport" ca init pki/proxies --root-only "${secret[@]}" >/dev/null
"$sallyport" ca init pki/internal --root-only --unencrypted >/dev/null
grep -q 'ENCRYPTED PRIVATE KEY' pki/partners/1/root-key.pem || fail "the root's key is not encrypted"
mkdir offline
mv pki/partners/1/root-key.pem offline/
done_ "the root's key of the partners' authority is offline; its intermediate issues"

begin "An authority that exists is adopted, with what it has issued"
mkdir legacy
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout legacy/ca-key.pem -out legacy/ca.pem -days 3650 \
	-subj "/CN=Partners before 2026" -addext keyUsage=critical,keyCertSign,cRLSign 2>/dev/null
key event-service /CN=event-service
openssl x509 -req -in partners/event-service/request.csr -CA legacy/ca.pem -CAkey legacy/ca-key.pem -days 365 \
	-extfile <(printf 'basicConstraints=CA:FALSE\nextendedKeyUsage=clientAuth\n') -out partners/event-service/chain.pem 2>/dev/null
"$sallyport" ca adopt pki/legacy --certificate legacy/ca.pem --private-key file:legacy/ca-key.pem "${secret[@]}" --crl "s3://$bucket/legacy.crl" >/dev/null
rm legacy/ca-key.pem
"$sallyport" ca log import --ca pki/legacy --consumer-from common-name partners/event-service/chain.pem >/dev/null
"$sallyport" ca crl --ca pki/legacy "${secret[@]}" >/dev/null
prints event-service "$sallyport" ca log --ca pki/legacy
done_ "its key is encrypted now, and its register knows event-service"

begin "The truststore is pushed, with a signed manifest"
"$sallyport" truststore keygen keys --passphrase "file:$work/passphrase" >/dev/null
push=(--source config --truststore partners --signing-key "file:$work/keys/signing-key.pem" --signing-key-passphrase "file:$work/passphrase")
cat pki/partners/bundle.pem pki/legacy/bundle.pem >truststore.pem
"$sallyport" truststore push truststore.pem "$bundle" "${push[@]}" >/dev/null
cat truststore.pem offline/root-key.pem >careless.pem
refuses 2 "private key" "$sallyport" truststore push careless.pem "$bundle" "${push[@]}"
done_ "two authorities are at $bundle; one with a private key in it was refused"

begin "A server with all roles, a proxy that enrols itself by a token, and the API"
for service in control-plane authz; do
	"$sallyport" ca issue --ca pki/proxies "${secret[@]}" --profile "$service" --trust-domain example.org --ip 127.0.0.1 --out pki --name "$service" >/dev/null
done
run serve "$sallyport" serve --roles xds,authz,ca --source config --state state --trust-domain example.org \
	--proxy-ca pki/proxies/bundle.pem --certificate pki/control-plane.pem --private-key pki/control-plane-key.pem --xds-listen "127.0.0.1:$XDS_PORT" \
	--authz-certificate pki/authz.pem --authz-private-key pki/authz-key.pem --authz-listen "127.0.0.1:$AUTHZ_PORT" \
	--ca-dir pki/partners --ca-dir pki/legacy --ca-dir pki/proxies "${secret[@]}" --enrol-ca proxies --enrol-listen "127.0.0.1:$ENROL_PORT" \
	--admin-socket "$socket" --health-listen "127.0.0.1:$HEALTH_PORT" --audit audit.jsonl
within 30 "the server is ready" curl --silent --fail --output /dev/null "http://127.0.0.1:$HEALTH_PORT/readyz"

# enrol NAME: a proxy of the edge gets its certificate by a token, and starts.
enrol() {
	(umask 077 && "$sallyport" proxy token --trust-domain example.org --group edge --name "$1" --authority proxies --admin-socket "$socket" >"$1.token" 2>/dev/null)
	"$sallyport" proxy enroll --token-file "$1.token" --out "$1" --xds "127.0.0.1:$XDS_PORT" --authz "127.0.0.1:$AUTHZ_PORT" --admin-socket "$1/admin.sock" >/dev/null
	refuses 1 "" "$sallyport" proxy enroll --token-file "$1.token" --out "$1-again"
	run "$1" "$envoy" -c "$1/bootstrap.json" --use-dynamic-base-id --concurrency 1 --log-level warn
	within 30 "the proxy $1 is connected" connected "/proxy/edge/$1"
	within 30 "the edge listens" listens "$EDGE_PORT"
}
enrol edge-1
edge=$pid
done_ "edge-1 is connected; its token is good for nothing any more"

"$sallyport" ca issue --ca pki/internal --profile server --dns api.internal --out pki --name api >/dev/null
"$sallyport" certificate export edge-client --source config >pki/trust-edge.pem
run api python3 "$example/api.py" "$API_PORT" pki/api.pem pki/api-key.pem pki/trust-edge.pem api.log
within 30 "the API listens" listens "$API_PORT"
within 30 "the edge serves" answers event-service /v1/prison/MDI/visit/search 200
expect event-service /v1/prison/MDI/visit/search 200
expect event-service /v1/prison/BXI/visit/search 403 condition_not_met

begin "A partner is onboarded by its certificate request, which asks for too much"
authority=(--authority partners --admin-socket "$socket")
wait=(--wait --wait-socket "$socket")
kit=(--url "$url/v1/persons/1" --gateway-ca pki/internal/bundle.pem)
key mapps /CN=admin -addext basicConstraints=critical,CA:TRUE -addext subjectAltName=DNS:api.example.org
"$sallyport" consumer create mapps --csr partners/mapps/request.csr --source config --truststore partners --role person-reader --role alerts-reader \
	"${authority[@]}" "${kit[@]}" --out kits/mapps "${wait[@]}" >mapps.txt
grep -q ignored mapps.txt || fail "nobody says what of the request was ignored"
cp kits/mapps/chain.pem partners/mapps/
openssl x509 -in partners/mapps/chain.pem -noout -text >mapps.txt
grep -q 'Subject: CN = mapps' mapps.txt || fail "the certificate has another subject"
! grep -qE 'CA:TRUE|DNS:api.example.org' mapps.txt || fail "the certificate grants what the request asked for"
grep -q 'name: mapps' config/consumers.yaml || fail "the Consumer is not in consumers.yaml"
grep -q 'comments and order stay' config/consumers.yaml || fail "the comments of consumers.yaml are lost"
within 30 "the register's index is at the gateway" answers mapps /v1/persons/1 200
expect mapps /v1/persons/1 200
expect mapps /v1/persons/1/alerts 200

begin "Another gets a kit with a key, encrypted"
password=$("$sallyport" consumer create nsp --generate --pkcs12 --source config --truststore partners --role person-reader \
	"${authority[@]}" "${kit[@]}" --out kits/nsp "${wait[@]}" --output json | field password)
mkdir partners/nsp
for part in "-nokeys:chain.pem" "-nocerts:key.pem"; do
	openssl pkcs12 -in kits/nsp/credentials.p12 -passin "pass:$password" -nodes "${part%%:*}" -out "partners/nsp/${part#*:}" 2>/dev/null
done
within 30 "the register's index is at the gateway" answers nsp /v1/persons/1 200
expect nsp /v1/persons/1 200
expect nsp /v1/persons/1/alerts 403 permission_missing
expect nsp /v1/whoami 200

begin "Questions, answered by the code that enforces"
prints permission_missing "$sallyport" explain --admin-socket "$socket" --consumer nsp GET https://api.example.org/v1/persons/1/alerts
prints permission_granted "$sallyport" explain --admin-socket "$socket" --certificate partners/mapps/chain.pem GET https://api.example.org/v1/persons/1/alerts
"$sallyport" who-can --admin-socket "$socket" GET https://api.example.org/v1/persons/1/alerts >who.txt
grep -q mapps who.txt || fail "who-can does not list mapps"
! grep -qE 'nsp|pilot' who.txt || fail "who-can lists more than mapps"
prints alerts "$sallyport" can mapps --admin-socket "$socket"
done_ "explain, who-can and can agree with the gateway"

begin "mapps renews: both certificates are good for a while, then the old one is revoked"
cp -r partners/mapps partners/mapps-2025
key mapps /CN=mapps
"$sallyport" consumer renew mapps --csr partners/mapps/request.csr --overlap 8s --source config "${authority[@]}" "${kit[@]}" --out kits/mapps-renewed "${wait[@]}" >/dev/null
cp kits/mapps-renewed/chain.pem partners/mapps/
within 30 "the register's index is at the gateway" answers mapps /v1/persons/1 200
expect mapps /v1/persons/1 200
expect mapps-2025 /v1/persons/1 200
within 60 "the overlap is over" answers mapps-2025 /v1/persons/1 403
expect mapps-2025 /v1/persons/1 403 certificate_revoked
expect mapps /v1/persons/1 200

begin "nsp is suspended, and comes back"
"$sallyport" consumer suspend nsp --source config "${wait[@]}" >/dev/null
expect nsp /v1/persons/1 403 consumer_suspended
expect mapps /v1/persons/1 200
"$sallyport" consumer resume nsp --source config "${wait[@]}" >/dev/null
expect nsp /v1/persons/1 200

begin "nsp loses its key: its certificate is revoked"
"$sallyport" consumer revoke nsp --reason key_compromise "${authority[@]}" "${wait[@]}" >/dev/null
expect nsp /v1/persons/1 403 certificate_revoked
expect mapps-2025 /v1/persons/1 403 certificate_revoked
expect mapps /v1/persons/1 200

begin "A new authority, with an overlap"
"$sallyport" ca rotate --ca pki/partners "${secret[@]}" --root-passphrase "file:$work/passphrase" >/dev/null
mv pki/partners/2/root-key.pem offline/root-key-2.pem
cat pki/partners/bundle.pem pki/legacy/bundle.pem >truststore.pem
"$sallyport" truststore push truststore.pem "$bundle" "${push[@]}" --admin-socket "$socket" >/dev/null
"$sallyport" ca activate 2 --ca pki/partners "${secret[@]}" >/dev/null
cp -r partners/mapps partners/mapps-2026
key mapps /CN=mapps
"$sallyport" consumer renew mapps --csr partners/mapps/request.csr --overlap 1h --source config "${authority[@]}" "${kit[@]}" --out kits/mapps-2 "${wait[@]}" >/dev/null
cp kits/mapps-2/chain.pem partners/mapps/
within 30 "the new authority counts" answers mapps /v1/persons/1 200
expect mapps /v1/persons/1 200
expect mapps-2026 /v1/persons/1 200
refuses 1 "in force" "$sallyport" ca retire 1 --ca pki/partners "${secret[@]}"
cat pki/partners/2/root.pem pki/legacy/bundle.pem >truststore.pem
refuses 1 mapps "$sallyport" truststore diff truststore.pem --source config --truststore partners --admin-socket "$socket"
done_ "the old one is not retired while mapps has a certificate of it"
serial=$(openssl x509 -in partners/mapps-2026/chain.pem -noout -serial)
"$sallyport" consumer revoke mapps --serial "${serial#serial=}" --reason superseded "${authority[@]}" "${wait[@]}" >/dev/null
expect mapps-2026 /v1/persons/1 403 certificate_revoked
"$sallyport" truststore push truststore.pem "$bundle" "${push[@]}" --admin-socket "$socket" >/dev/null
"$sallyport" ca retire 1 --ca pki/partners "${secret[@]}" >/dev/null
within 30 "the old authority counts no more" is_untrusted mapps-2026 /v1/persons/1
expect mapps-2026 /v1/persons/1 403 certificate_untrusted
expect mapps /v1/persons/1 200

begin "A bad truststore, pushed past all checks"
mkdir -p partners/stranger
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout strange-key.pem -out strange.pem -days 30 -subj /CN=Stranger \
	-addext keyUsage=critical,keyCertSign,cRLSign 2>/dev/null
key stranger /CN=mapps
openssl x509 -req -in partners/stranger/request.csr -CA strange.pem -CAkey strange-key.pem -days 30 \
	-extfile <(printf 'basicConstraints=CA:FALSE\nextendedKeyUsage=clientAuth\n') -out partners/stranger/chain.pem 2>/dev/null
good=$("$sallyport" truststore versions "$bundle" --output json | field 0.id)
cat truststore.pem strange.pem >bad.pem
s3 PUT "$bucket/truststore.pem" --data-binary @bad.pem
within 30 "the status tells" says "the manifest is for another bundle"
expect stranger /v1/persons/1 403 certificate_untrusted
expect mapps /v1/persons/1 200
"$sallyport" truststore rollback "$good" "$bundle" "${push[@]}" --admin-socket "$socket" >/dev/null
within 30 "the status is well again" says_not "Truststore partners"
expect stranger /v1/persons/1 403 certificate_untrusted
expect mapps /v1/persons/1 200
expect nsp /v1/persons/1 403

begin "A proxy takes the place of another, and is revoked"
end "$edge"
within 30 "edge-1 is gone" disconnected /proxy/edge/edge-1
enrol edge-2
within 30 "edge-2 serves" answers mapps /v1/persons/1 200
expect mapps /v1/persons/1 200
"$sallyport" proxy revoke edge/edge-2 --trust-domain example.org --reason key_compromise --authority proxies --admin-socket "$socket" >/dev/null
within 30 "edge-2 is cut off" disconnected /proxy/edge/edge-2
within 30 "edge-2 is given no answer" answers mapps /v1/persons/1 503
expect mapps /v1/persons/1 503
end "$pid"
run edge-1 "$envoy" -c edge-1/bootstrap.json --use-dynamic-base-id --concurrency 1 --log-level warn
within 30 "edge-1 serves again" answers mapps /v1/persons/1 200
expect mapps /v1/persons/1 200

begin "What was issued, and what is coming"
s3 GET "$bucket/partners.crl.head" --output partners.crl.head
"$sallyport" ca log verify --ca pki/partners --head partners.crl.head >/dev/null
prints mapps "$sallyport" certificates --admin-socket "$socket"
"$sallyport" validate config >/dev/null
for canary in "$(cat passphrase)" "$password"; do
	! grep -rlqF "$canary" --include='*.log' --include='*.jsonl' --include='*.txt' . || fail "a log holds a passphrase"
done
done_ "the register is whole, and its signed head agrees"
printf '\n%d steps, all as they should be\n' "$steps"
