"""Takes e-mail addresses, numbers of phones, cards and accounts out of what OpenRTC writes of calls."""
