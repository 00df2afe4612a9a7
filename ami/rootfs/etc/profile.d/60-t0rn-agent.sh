umask 027
# A shell that was forgotten ends.
TMOUT=900
