#!/bin/sh
echo one
# sim: poweroff after=40s
