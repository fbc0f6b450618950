#!/bin/sh
# Runs once, on the builder.
set -e
apt-get update && apt-get install -y nginx
echo "hello from the shop" > /var/www/html/index.html
echo ok > /var/www/html/healthz
# The image is captured when the builder is off. The embedded cloud's machines follow this line:
# sim: poweroff after=40s
poweroff
