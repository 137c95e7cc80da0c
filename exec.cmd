@rem What `exec` of `npm start` is for cmd.exe. For a POSIX shell it is built in, and gives the server the signals that npm sends.
@%*
