"""The piece protocol on sockets: connections of one task, dialled and accepted."""
