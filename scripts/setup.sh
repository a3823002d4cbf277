#!/bin/sh
# Sets up all that MSP Toolkit needs on this machine. It looks before it installs, asks nothing, and may be run
# again at any time. With --tests it also installs what only the tests need.
#
# Knows apt (Debian, Ubuntu), dnf (Fedora, RHEL) and brew (macOS). Where it may not install, it prints the command
# that a person has to run and ends with 1.
set -eu
cd "$(dirname "$0")/.."
for_tests=false
[ "${1:-}" = --tests ] && for_tests=true

say() { printf 'setup: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# --- The machine's own Node, which only has to bring npm ---------------------------------------------------------

have node && have npm || fail "Node 20 or newer with npm is needed. Debian: sudo apt-get install nodejs npm"
major=$(node -p 'process.versions.node.split(".")[0]')
[ "$major" -ge 20 ] || fail "Node 20 or newer is needed; this is $(node --version)."

# --- Programs of the system --------------------------------------------------------------------------------------

have_browser() {
  for candidate in "${PUPPETEER_EXECUTABLE_PATH:-}" chromium chromium-browser google-chrome-stable google-chrome \
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome" /Applications/Chromium.app/Contents/MacOS/Chromium; do
    [ -n "$candidate" ] && have "$candidate" && return 0
  done
  return 1
}

have_library() { ldconfig -p 2>/dev/null | grep -q "$1" || ls /usr/lib/*/"$1"* /usr/lib64/"$1"* /usr/lib/"$1"* >/dev/null 2>&1; }
have_fonts() { [ "$(uname)" = Darwin ] || [ -d /usr/share/fonts/truetype/liberation ] || ls -d /usr/share/fonts/*iberation* >/dev/null 2>&1; }
# Client names may be in any script; without these, Chinese, Japanese and Korean ones would be boxes.
have_cjk_fonts() {
  [ "$(uname)" = Darwin ] && return 0
  for folder in /usr/share/fonts/*/wqy* /usr/share/fonts/wqy* /usr/share/fonts/*/noto-cjk /usr/share/fonts/*cjk*; do
    [ -d "$folder" ] && return 0
  done
  return 1
}
have_keyring_library() { [ "$(uname)" = Darwin ] || have_library libsecret-1.so; }

missing=''
add() { missing="$missing $1"; }
have redis-server || add redis
have redis-cli || add redis
have_browser || add browser
have_fonts || add fonts
have_cjk_fonts || add cjk-fonts
have_keyring_library || add keyring-library
have ping || add ping
if $for_tests && [ "$(uname)" != Darwin ]; then
  have gnome-keyring-daemon || add keyring-daemon
  have dbus-run-session || add dbus
  have systemd-notify || add systemd
  [ -x /usr/lib/nagios/plugins/check_load ] || [ -x /usr/lib64/nagios/plugins/check_load ] || add plugins
fi

package() {
  case "$1:$2" in
    apt-get:redis) echo redis-server ;; dnf:redis) echo redis ;; brew:redis) echo redis ;;
    apt-get:browser) echo chromium ;; dnf:browser) echo chromium ;; brew:browser) echo chromium ;;
    apt-get:fonts) echo fonts-liberation ;; dnf:fonts) echo liberation-fonts ;;
    apt-get:cjk-fonts) echo fonts-wqy-microhei ;; dnf:cjk-fonts) echo wqy-microhei-fonts ;;
    apt-get:ping) echo iputils-ping ;; dnf:ping) echo iputils ;;
    apt-get:plugins) echo monitoring-plugins-basic ;; dnf:plugins) echo nagios-plugins-load nagios-plugins-users nagios-plugins-dummy ;;
    apt-get:keyring-library) echo libsecret-1-0 ;; dnf:keyring-library) echo libsecret ;;
    *:keyring-daemon) echo gnome-keyring ;;
    *:systemd) echo systemd ;;
    apt-get:dbus) echo dbus ;; dnf:dbus) echo dbus-daemon ;;
  esac
}

if [ -n "$missing" ]; then
  manager=''
  for candidate in apt-get dnf brew; do have "$candidate" && manager=$candidate && break; done
  [ -n "$manager" ] || fail "missing:$missing. Install them with your package manager, then run this again."
  packages=$(for part in $missing; do package "$manager" "$part"; done | sort -u | tr '\n' ' ')
  case $manager in
    apt-get) install="apt-get install -y --no-install-recommends $packages" ;;
    dnf) install="dnf install -y $packages" ;;
    brew) install="brew install $packages" ;;
  esac
  as_root=''
  if [ "$manager" != brew ] && [ "$(id -u)" -ne 0 ]; then
    if have sudo && sudo -n true 2>/dev/null; then
      as_root='sudo -n env DEBIAN_FRONTEND=noninteractive'
    else
      fail "missing:$missing. Run this, then try again: sudo $install"
    fi
  fi
  say "installing $packages($manager)"
  log=$(mktemp)
  if [ "$manager" = apt-get ]; then
    export DEBIAN_FRONTEND=noninteractive
    $as_root apt-get update >"$log" 2>&1 || say "apt-get update had problems; going on with the lists there are"
  fi
  had_redis=false
  have redis-server && had_redis=true
  # shellcheck disable=SC2086 -- the words of the command
  $as_root $install >>"$log" 2>&1 || { tail -n 20 "$log" >&2; fail "could not install. Run this yourself: sudo $install"; }
  rm -f "$log"
  # The distribution's package starts a Redis for the whole machine; ours is private, so that one is not needed.
  if ! $had_redis && [ -d /run/systemd/system ]; then
    $as_root systemctl disable --now redis-server redis >/dev/null 2>&1 || true
  fi
fi

# --- Packages from npm, and the Node that everything runs on ------------------------------------------------------

stamp=node_modules/.setup-stamp
want=$(cksum <package-lock.json)
if [ ! -f "$stamp" ] || [ "$(cat "$stamp")" != "$want" ]; then
  say 'installing packages'
  # The versions are those of the lock file. `npm ci` would also insist on the optional binaries of every other
  # platform, which a lock file written on one platform need not have.
  # No package needs its install script: native code comes as binaries inside the packages. This also keeps
  # puppeteer from downloading a browser.
  PUPPETEER_SKIP_DOWNLOAD=1 npm install --no-save --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null
  if ! node_modules/node/bin/node --version >/dev/null 2>&1; then
    say 'installing Node 24 for this project'
    (cd node_modules/node && node installArchSpecificPackage >/dev/null 2>&1) || true
  fi
  node_modules/node/bin/node --version >/dev/null 2>&1 || fail 'Node 24 could not be installed from the npm registry.'
  ln -sf ../node/bin/node node_modules/.bin/node
  echo "$want" >"$stamp"
fi

# --- The program itself ---------------------------------------------------------------------------------------------

if [ ! -f dist/main.js ] || [ -n "$(find src scripts/build.ts package.json -newer dist/main.js -print -quit)" ]; then
  say 'building'
  node_modules/node/bin/node scripts/build.ts
fi
ln -sf ../../dist/main.js node_modules/.bin/msp-toolkit
say "ready ($(node_modules/node/bin/node --version), $(redis-server --version | sed 's/.*v=\([^ ]*\).*/Redis \1/'))"
