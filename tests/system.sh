#!/bin/sh
# System packages that tests need, on Debian and its kin: a browser, a database server.
set -e
need=""
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || need="$need postgresql"
command -v chromium >/dev/null || need="$need chromium"
[ -n "$need" ] || exit 0
if ! command -v apt-get >/dev/null; then
    echo "No apt-get here: install$need by hand, or the tests that need it are skipped."
    exit 0
fi
sudo=""
if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo >/dev/null || ! sudo -n true 2>/dev/null; then
        echo "Not root: run 'sudo apt-get install$need', or the tests that need it are skipped."
        exit 0
    fi
    sudo="sudo -n"
fi
echo "Installing for the tests:$need"
$sudo apt-get -qq update
DEBIAN_FRONTEND=noninteractive $sudo apt-get -qq -y install --no-install-recommends $need >/dev/null
