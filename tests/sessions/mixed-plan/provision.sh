#!/bin/sh
# Runs once, on the machine that the image is captured from.
apt-get update && apt-get install -y nginx
echo "hello from the shop" > /var/www/html/index.html
# The image is captured when the machine is off.
# sim: poweroff after=2s
poweroff
