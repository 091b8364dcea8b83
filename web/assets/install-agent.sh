#!/bin/sh
# Installs the Nightjar agent that this server hands out, or upgrades it, or removes it.
#
#   curl -fsSL @DOWNLOAD_URL@/install-agent.sh | sudo sh -s -- --token TOKEN
#
# Asks nothing, can be run again at any time: an agent that is already enrolled keeps its identity, what
# it has yet to send, and the options it was installed with. `--help` lists them.
set -eu
umask 022

# Run only once it has arrived whole.
main() {
download_url='@DOWNLOAD_URL@'
server='@AGENTS_URL@'
given_download=
given_server=
token=${NIGHTJAR_TOKEN:-}
token_file=
data_dir=
prefix=
labels=
ca_file=
fingerprint=
run_as=
start=yes
forget=no
uninstall=no
purge=no

say() { printf '%s\n' "nightjar-agent: $*"; }
die() { printf '%s\n' "nightjar-agent: $*" >&2; exit 1; }

usage() {
    cat <<'USAGE'
Usage: install-agent.sh --token TOKEN [options]

  --token TOKEN        enrolment token; also NIGHTJAR_TOKEN in the environment
  --token-file FILE    read the token from a file instead
  --server URL         where the agent reports
  --download URL       where the agent is downloaded from
  --label KEY=VALUE    a label of this host; may be repeated
  --ca-file FILE       PEM of the authority that signed the server's certificate
  --fingerprint SHA256 accept just this certificate when the agent reports
  --prefix DIR         install below DIR instead of /usr/local, /etc and /var/lib; no service is registered
  --data-dir DIR       where the agent keeps its identity and its journal
  --user NAME          run as this user instead of `nightjar-agent` (made if it is missing)
  --forget             keep none of the options of an earlier run
  --no-start           install only
  --uninstall          stop and remove the agent; its data stays
  --purge              with --uninstall: remove its data, too

Run again, it keeps the options given before, but for the tokens and those given anew. Labels given anew
take the place of all the earlier ones.
USAGE
}

# Values that go into the unit and the start script are kept to characters that need no quoting there.
plain() {
    case $2 in
        *[!A-Za-z0-9._=:/@+-]*|'') die "$1 '$2' may hold only letters, digits and . _ : / @ + -" ;;
    esac
}
absolute() {
    case $2 in /*) ;; *) die "$1 must be an absolute path, not '$2'" ;; esac
    plain "$1" "$2"
}

need() { [ "$#" -ge 2 ] && [ -n "$2" ] || die "$1 needs a value (see --help)"; }

while [ "$#" -gt 0 ]; do
    case $1 in
        --token) need "$@"; token=$2; shift 2 ;;
        --token-file) need "$@"; token_file=$2; shift 2 ;;
        --server) need "$@"; given_server=$2; shift 2 ;;
        --download) need "$@"; given_download=${2%/}; shift 2 ;;
        --data-dir) need "$@"; data_dir=$2; shift 2 ;;
        --label)
            need "$@"
            case $2 in
                [!=]*=*) ;;
                *) die "--label must be KEY=VALUE, not '$2'" ;;
            esac
            plain --label "$2"
            labels="$labels $2"; shift 2 ;;
        --prefix) need "$@"; prefix=${2%/}; shift 2 ;;
        --ca-file) need "$@"; ca_file=$2; shift 2 ;;
        --fingerprint) need "$@"; fingerprint=$2; shift 2 ;;
        --user) need "$@"; run_as=$2; shift 2 ;;
        --forget) forget=yes; shift ;;
        --no-start) start=no; shift ;;
        --uninstall) uninstall=yes; shift ;;
        --purge) purge=yes; shift ;;
        -h|--help) usage; exit 0 ;;
        *) die "unknown option '$1' (see --help)" ;;
    esac
done

system=no
if [ -n "$prefix" ]; then
    absolute --prefix "$prefix"
    bin_dir=$prefix/bin
    etc_dir=$prefix/etc/nightjar-agent
else
    system=yes
    bin_dir=/usr/local/bin
    etc_dir=/etc/nightjar-agent
fi
binary=$bin_dir/nightjar-agent
unit=/etc/systemd/system/nightjar-agent.service
arguments_file=$etc_dir/arguments
options_file=$etc_dir/options

# What was given before holds until it is given anew. An option on one line, its value on the next; where
# an older installer kept no options, the agent's arguments tell most of them.
kept=
keep_earlier() {
    earlier=$options_file
    [ -f "$earlier" ] || earlier=$arguments_file
    [ "$forget" = no ] && [ -f "$earlier" ] || return 0
    relabelled=$labels
    while IFS= read -r option; do
        case $option in --*) ;; *) continue ;; esac
        IFS= read -r value || break
        case $option in
            --label) [ -z "$relabelled" ] || continue; labels="$labels $value" ;;
            --data-dir) [ -z "$data_dir" ] || continue; data_dir=$value ;;
            --fingerprint) [ -z "$fingerprint" ] || continue; fingerprint=$value ;;
            --ca-file) [ -z "$ca_file" ] && [ -r "$value" ] || continue; ca_file=$value ;;
            --user) [ -z "$run_as" ] || continue; run_as=$value ;;
            --download) [ -z "$given_download" ] || continue; given_download=$value ;;
            --server)
                # Among the arguments it is there even if nobody gave it.
                [ -z "$given_server" ] && [ "$earlier" = "$options_file" ] || continue
                given_server=$value ;;
            *) continue ;;
        esac
        plain "$option" "$value"
        kept="$kept $option $value"
    done <"$earlier"
}
keep_earlier
download_url=${given_download:-$download_url}
server=${given_server:-$server}
given_data_dir=$data_dir
: "${data_dir:=$prefix/var/lib/nightjar-agent}"
absolute --data-dir "$data_dir"
pid_file=$data_dir/agent.pid
log_file=$data_dir/agent.log

if [ "$system" = yes ] && [ "$(id -u)" -ne 0 ]; then
    die "run this as root (sudo sh -s -- …), or give --prefix to install for yourself; the agent itself never runs as root"
fi

has_systemd() { [ "$system" = yes ] && [ -d /run/systemd/system ] && command -v systemctl >/dev/null 2>&1; }

running() {
    [ -f "$pid_file" ] || return 1
    pid=$(cat "$pid_file" 2>/dev/null) || return 1
    case $pid in ''|*[!0-9]*) return 1 ;; esac
    kill -0 "$pid" 2>/dev/null || return 1
    # The number may have gone to another program since.
    if [ -r "/proc/$pid/cmdline" ]; then
        tr '\0' ' ' <"/proc/$pid/cmdline" | grep -q 'nightjar-agent' || return 1
    fi
}

stop_plain() {
    running || { rm -f "$pid_file"; return 0; }
    kill "$pid" 2>/dev/null || true
    waited=0
    while kill -0 "$pid" 2>/dev/null; do
        [ "$waited" -lt 20 ] || { kill -9 "$pid" 2>/dev/null || true; break; }
        sleep 1
        waited=$((waited + 1))
    done
    rm -f "$pid_file"
}

# As the user whose data it is, and not for ever.
sign_off() {
    leave="$binary leave $(tail -n +2 "$arguments_file" | tr '\n' ' ')"
    if command -v timeout >/dev/null 2>&1; then leave="timeout 30 $leave"; fi
    owner=$(stat -c %U "$data_dir" 2>/dev/null || echo root)
    # shellcheck disable=SC2086 -- the arguments hold no spaces: checked when they were given
    if [ "$(id -u)" -eq 0 ] && [ "$owner" != root ] && command -v setpriv >/dev/null 2>&1; then
        setpriv --reuid "$owner" --init-groups $leave
    else
        $leave
    fi
}

if [ "$uninstall" = yes ]; then
    if has_systemd && [ -f "$unit" ]; then
        systemctl disable --now nightjar-agent.service >/dev/null 2>&1 || true
        rm -f "$unit"
        systemctl daemon-reload
    fi
    stop_plain
    # Stopped in order it has signed off: nobody waits for it. Without its data it will never be back.
    if [ "$purge" = yes ] && [ -x "$binary" ] && [ -f "$data_dir/identity.json" ] && [ -f "$arguments_file" ]; then
        if sign_off >/dev/null 2>&1; then
            say "the server has removed this agent"
        else
            say "the server could not be told: delete this agent in the console under Agents"
        fi
    fi
    rm -f "$binary"
    rm -rf "$etc_dir"
    if [ "$purge" = yes ]; then
        rm -rf "$data_dir"
        say "removed, with its data"
    else
        say "removed; its identity and what it had yet to send are still in $data_dir (--purge removes them)"
    fi
    exit 0
fi

if [ -n "$token_file" ]; then
    [ -r "$token_file" ] || die "cannot read the token file $token_file"
    token=$(head -n 1 "$token_file")
fi
[ -n "$token" ] || die "an enrolment token is needed: --token TOKEN (make one in the console under Agents)"
case $token in
    *[!A-Za-z0-9._~+/=-]*) die "the token holds characters that no token has; was it cut in copying?" ;;
esac
plain --server "$server"
plain --download "$download_url"
if [ -n "$ca_file" ]; then
    [ -r "$ca_file" ] || die "cannot read --ca-file $ca_file"
fi
if [ -n "$fingerprint" ]; then plain --fingerprint "$fingerprint"; fi
if [ -n "$run_as" ]; then plain --user "$run_as"; fi
[ "$(uname -s)" = Linux ] || die "the agent runs on Linux; this is $(uname -s)"
[ -z "$kept" ] || say "keeping what was given before:$kept (--forget keeps none of it)"

work=$(mktemp -d "${TMPDIR:-/tmp}/nightjar-agent.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# fetch URL FILE: 0 and the body; 1 refused (401, 403); 2 anything else, with the reason in $work/error.
# The token goes through a file of ours: an argument would be seen by every user of the host.
fetch() {
    if command -v curl >/dev/null 2>&1; then
        (umask 077; printf 'header = "Authorization: Bearer %s"\n' "$token" >"$work/curlrc")
        [ -z "$ca_file" ] || printf 'cacert = "%s"\n' "$ca_file" >>"$work/curlrc"
        status=$(curl -q -sS -L --retry 3 --connect-timeout 15 -K "$work/curlrc" -o "$2" -w '%{http_code}' "$1" 2>"$work/error") || return 2
    elif command -v wget >/dev/null 2>&1 && wget --version 2>/dev/null | grep -q GNU; then
        (umask 077; printf 'header = Authorization: Bearer %s\n' "$token" >"$work/wgetrc")
        [ -z "$ca_file" ] || printf 'ca_certificate = %s\n' "$ca_file" >>"$work/wgetrc"
        if WGETRC=$work/wgetrc wget -nv -S -T 15 -t 3 -O "$2" "$1" 2>"$work/error"; then status=200; else
            status=$(sed -n 's/^ *HTTP\/[0-9.]* \([0-9][0-9][0-9]\).*/\1/p' "$work/error" | tail -n 1)
            [ -n "$status" ] || return 2
        fi
    else
        die "curl or GNU wget is needed to download the agent"
    fi
    case $status in
        200) return 0 ;;
        401|403) return 1 ;;
        *) printf 'HTTP %s\n' "$status" >>"$work/error"; return 2 ;;
    esac
}

checksum() {
    if command -v sha256sum >/dev/null 2>&1; then sha256sum "$1" | cut -d ' ' -f 1
    elif command -v shasum >/dev/null 2>&1; then shasum -a 256 "$1" | cut -d ' ' -f 1
    elif command -v openssl >/dev/null 2>&1; then openssl dgst -sha256 -r "$1" | cut -d ' ' -f 1
    else die "sha256sum, shasum or openssl is needed to verify the download"
    fi
}

# What stands in the data folder is the agent's: a link that somebody with its rights put there must not
# lead us, who may be root, to another file.
unlink_links() {
    for name in "$token_store" "$token_store.new" "$log_file" "$pid_file"; do
        [ ! -L "$name" ] || rm -f "$name"
    done
}

enrolled() { [ -f "$data_dir/identity.json" ]; }

new_binary=
refused=no
fetch "$download_url/download/nightjar-agent.sha256" "$work/expected" || case $? in
    1) refused=yes ;;
    *) die "cannot download from $download_url: $(tr '\n' ' ' <"$work/error")" ;;
esac
if [ "$refused" = yes ]; then
    # A token that is used up must not keep a host from being set up again.
    if enrolled && [ -x "$binary" ]; then
        say "the server does not accept the token any more; keeping the installed $("$binary" --version) (a new token upgrades it)"
    else
        die "the server refused the token: it is wrong, expired or used up. Make a new one in the console under Agents"
    fi
else
    expected=$(cut -d ' ' -f 1 <"$work/expected")
    if [ -x "$binary" ] && [ "$(checksum "$binary")" = "$expected" ]; then
        say "the installed agent is the server's own; nothing to download"
    else
        fetch "$download_url/download/nightjar-agent" "$work/nightjar-agent" \
            || die "cannot download from $download_url: $(tr '\n' ' ' <"$work/error")"
        actual=$(checksum "$work/nightjar-agent")
        [ "$actual" = "$expected" ] || die "the download is damaged (SHA-256 $actual instead of $expected); nothing was changed"
        chmod 755 "$work/nightjar-agent"
        # mktemp's place may forbid running programs; then the first start will tell.
        if ! version=$("$work/nightjar-agent" --version 2>"$work/error"); then
            if grep -qi 'permission denied' "$work/error"; then version="nightjar-agent"; else
                die "the server's agent does not run on this machine ($(uname -m)): $(tr '\n' ' ' <"$work/error")"
            fi
        fi
        new_binary=$work/nightjar-agent
        say "downloaded $version"
    fi
fi

mkdir -p "$bin_dir" "$etc_dir" "$data_dir"
if [ -n "$new_binary" ]; then
    # Renamed over the old one: a running agent keeps the file it was started from.
    cp "$new_binary" "$binary.new"
    chmod 755 "$binary.new"
    mv -f "$binary.new" "$binary"
fi
if [ -n "$ca_file" ]; then
    cp "$ca_file" "$etc_dir/ca.pem.new"
    mv -f "$etc_dir/ca.pem.new" "$etc_dir/ca.pem"
    ca_file=$etc_dir/ca.pem
fi

if [ "$system" = yes ]; then
    user=${run_as:-nightjar-agent}
    if ! id "$user" >/dev/null 2>&1; then
        if command -v useradd >/dev/null 2>&1; then
            useradd --system --home-dir "$data_dir" --no-create-home --shell /usr/sbin/nologin "$user"
        elif command -v adduser >/dev/null 2>&1; then
            adduser -S -D -H -h "$data_dir" -s /sbin/nologin "$user"
        else
            die "there is no user $user, and neither useradd nor adduser to make one; make it, or give --user"
        fi
        say "made the user $user; it must be able to read the logs (e.g. usermod -aG adm $user)"
    fi
    [ "$(id -u "$user")" -ne 0 ] || die "the agent does not run as root; give --user another name"
else
    user=${run_as:-$(id -un)}
    [ "$user" = "$(id -un)" ] || [ "$(id -u)" -eq 0 ] || die "only root can run the agent as another user"
fi

# The token, readable by the agent alone. Once enrolled the agent has a key of its own, and the file
# is left empty.
token_store=$data_dir/enrolment-token
unlink_links
(
    umask 077
    if enrolled; then : >"$token_store.new"; else printf '%s\n' "$token" >"$token_store.new"; fi
)
mv -f "$token_store.new" "$token_store"
chmod 700 "$data_dir"
if [ "$(id -u)" -eq 0 ]; then chown -hR "$user" "$data_dir"; fi

# One argument a line.
{
    printf '%s\n' run --server "$server" --token-file "$token_store" --data-dir "$data_dir"
    [ -z "$ca_file" ] || printf '%s\n' --ca-file "$ca_file"
    [ -z "$fingerprint" ] || printf '%s\n' --fingerprint "$fingerprint"
    for label in $labels; do printf '%s\n' --label "$label"; done
} >"$arguments_file.new"
mv -f "$arguments_file.new" "$arguments_file"
arguments=$(tr '\n' ' ' <"$arguments_file")
{
    [ -z "$given_server" ] || printf '%s\n' --server "$given_server"
    [ -z "$given_download" ] || printf '%s\n' --download "$given_download"
    [ -z "$given_data_dir" ] || printf '%s\n' --data-dir "$given_data_dir"
    [ -z "$ca_file" ] || printf '%s\n' --ca-file "$ca_file"
    [ -z "$fingerprint" ] || printf '%s\n' --fingerprint "$fingerprint"
    [ -z "$run_as" ] || printf '%s\n' --user "$run_as"
    for label in $labels; do printf '%s\n' --label "$label"; done
} >"$options_file.new"
mv -f "$options_file.new" "$options_file"

if has_systemd; then
    cat >"$unit" <<UNIT
[Unit]
Description=Nightjar agent
Wants=network-online.target
After=network-online.target

[Service]
Type=simple
User=$user
ExecStart=$binary $arguments
Restart=always
RestartSec=5
NoNewPrivileges=yes
ProtectSystem=strict
ReadWritePaths=$data_dir
ProtectHome=read-only
PrivateDevices=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectControlGroups=yes
RestrictSUIDSGID=yes
RestrictNamespaces=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
SystemCallArchitectures=native
CapabilityBoundingSet=
MemoryMax=256M
LimitNOFILE=65536

[Install]
WantedBy=multi-user.target
UNIT
    systemctl daemon-reload
    if [ "$start" = yes ]; then
        systemctl enable nightjar-agent.service >/dev/null 2>&1
        systemctl restart nightjar-agent.service
    fi
    alive() { systemctl is-active --quiet nightjar-agent.service; }
    hint="journalctl -u nightjar-agent"
else
    if [ "$start" = yes ]; then
        stop_plain
        unlink_links
        # shellcheck disable=SC2086 -- the arguments hold no spaces: checked above
        if [ "$(id -u)" -eq 0 ] && [ "$user" != root ] && [ "$user" != "$(id -un)" ]; then
            : >"$log_file"
            chown -h "$user" "$log_file"
            if command -v setpriv >/dev/null 2>&1; then
                nohup setpriv --reuid "$user" --init-groups "$binary" $arguments >>"$log_file" 2>&1 </dev/null &
            elif command -v su >/dev/null 2>&1; then
                nohup su -s /bin/sh "$user" -c "exec $binary $arguments" >>"$log_file" 2>&1 </dev/null &
            else
                die "neither setpriv nor su is there to start the agent as $user"
            fi
        else
            nohup "$binary" $arguments >>"$log_file" 2>&1 </dev/null &
        fi
        printf '%s\n' "$!" >"$pid_file"
    fi
    # Neither its name nor its command line is looked at: it may still be on its way from this shell to the
    # agent, and has none for a moment. A dead process that nobody has waited for is a zombie.
    alive() {
        pid=$(cat "$pid_file" 2>/dev/null) && kill -0 "$pid" 2>/dev/null || return 1
        ! grep -qs '^State:[[:space:]]*[ZX]' "/proc/$pid/status"
    }
    hint="$log_file"
fi

if [ "$start" = no ]; then
    say "installed in $binary; not started. To start it: $binary $arguments"
    exit 0
fi

# It is up once it has its identity; a token that does not hold shows here and not days later.
waited=0
while [ "$waited" -lt 2 ] || ! enrolled; do
    if ! alive; then
        [ ! -f "$log_file" ] || tail -n 5 "$log_file" >&2
        die "the agent stopped right after its start; see $hint"
    fi
    if [ "$waited" -ge 30 ]; then
        [ ! -f "$log_file" ] || tail -n 5 "$log_file" >&2
        die "the agent runs but could not enrol at $server within 30 s; it goes on trying, see $hint"
    fi
    sleep 1
    waited=$((waited + 1))
done
unlink_links
: >"$token_store"
say "installed and enrolled; it reports to $server"
}

main "$@"
