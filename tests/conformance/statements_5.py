"""MQTT 5.0 (OASIS standard of 7 March 2019): its numbered statements, in our words.

Each row: identifier, whom it binds, what it asks for, and why it needs no test of the server when
it needs none.
"""

VERSION = "5.0"

# How many statements each section has: a row that is forgotten shows.
SECTIONS = {
    "1.5.4": 3, "1.5.5": 1, "1.5.7": 1, "2.1.3": 1, "2.2.1": 5, "2.2.2": 1, "3.1.0": 2, "3.1.2": 30,
    "3.1.3": 12, "3.1.4": 6, "3.2.0": 2, "3.2.2": 22, "3.3.1": 13, "3.3.2": 20, "3.3.4": 10,
    "3.4.2": 3, "3.5.2": 3, "3.6.1": 1, "3.6.2": 3, "3.7.2": 3, "3.8.1": 1, "3.8.3": 5, "3.8.4": 8,
    "3.9.2": 2, "3.9.3": 2, "3.10.1": 1, "3.10.3": 2, "3.10.4": 6, "3.11.2": 2, "3.11.3": 2,
    "3.12.4": 1, "3.14.0": 1, "3.14.1": 1, "3.14.2": 4, "3.14.4": 3, "3.15.1": 1, "3.15.2": 3,
    "4.1.0": 2, "4.2.0": 1, "4.3.1": 1, "4.3.2": 5, "4.3.3": 13, "4.4.0": 2, "4.5.0": 2, "4.6.0": 6,
    "4.7.0": 1, "4.7.1": 2, "4.7.2": 1, "4.7.3": 4, "4.8.2": 6, "4.9.0": 3, "4.12.0": 7,
    "4.12.1": 2, "4.13.1": 1, "4.13.2": 1, "6.0.0": 4}
# The standard has no MQTT-2.2.1-1.
FIRST = {"2.2.1": 2}

NO_RESENDING = ("Where we publish as a client the session is clean: what was not acknowledged is "
                "published anew by the outbox, never sent again by MQTT.")
NO_PUBREL = "What we publish as a client has QoS 0 or 1."
NO_METHOD = "Our client side names no authentication method."
NO_STATE = ("A subscription that goes on with the broker's session needs nothing of its own for "
            "that; what is published belongs to the outbox.")
NO_WEBSOCKET = "There is no WebSocket listener and no WebSocket client."
NO_AUTH = "No authentication method is offered, so the server never sends AUTH."

ROWS = (
    ("MQTT-1.5.4-1", "both", "Text is well-formed UTF-8 without surrogates."),
    ("MQTT-1.5.4-2", "both", "Text has no null character."),
    ("MQTT-1.5.4-3", "both", "EF BB BF is the character U+FEFF and is never dropped."),
    ("MQTT-1.5.5-1", "both", "A variable byte integer takes as few bytes as possible."),
    ("MQTT-1.5.7-1", "both", "Both parts of a pair are well-formed text."),
    ("MQTT-2.1.3-1", "both", "Reserved flags of the fixed header have the listed values."),
    ("MQTT-2.2.1-2", "both", "A PUBLISH of QoS 0 has no identifier."),
    ("MQTT-2.2.1-3", "client", "A client gives each new SUBSCRIBE, UNSUBSCRIBE and PUBLISH above "
     "QoS 0 a free identifier other than 0."),
    ("MQTT-2.2.1-4", "server", "A server does so for what it publishes above QoS 0."),
    ("MQTT-2.2.1-5", "both", "PUBACK, PUBREC, PUBREL and PUBCOMP have the identifier of their "
     "PUBLISH."),
    ("MQTT-2.2.1-6", "server", "SUBACK and UNSUBACK have the identifier of what they answer."),
    ("MQTT-2.2.2-1", "both", "No properties are written as a length of 0."),
    ("MQTT-3.1.0-1", "both", "The first packet of a client is CONNECT."),
    ("MQTT-3.1.0-2", "server", "A second CONNECT is a protocol error and ends the connection."),
    ("MQTT-3.1.2-1", "both", "The protocol name is MQTT; to another one a server may answer 0x84, "
     "and closes."),
    ("MQTT-3.1.2-2", "server", "To a version that it does not take a server may answer 0x84, and "
     "closes."),
    ("MQTT-3.1.2-3", "server", "The reserved CONNECT flag is checked."),
    ("MQTT-3.1.2-4", "both", "Clean start forgets the existing session and begins a new one."),
    ("MQTT-3.1.2-5", "server", "Without it an existing session goes on."),
    ("MQTT-3.1.2-6", "server", "Without it a session begins where there is none."),
    ("MQTT-3.1.2-7", "server", "A will is kept with the session."),
    ("MQTT-3.1.2-8", "server", "It is published after the connection has ended, when its delay is "
     "over or the session ends, unless DISCONNECT 0x00 or a return in time removed it."),
    ("MQTT-3.1.2-9", "both", "With the will flag the payload has the will's properties, topic and "
     "message."),
    ("MQTT-3.1.2-10", "server", "A will is gone once it is published or DISCONNECT 0x00 has come."),
    ("MQTT-3.1.2-11", "both", "Without the will flag the will QoS is 0."),
    ("MQTT-3.1.2-12", "both", "A will QoS is 0, 1 or 2."),
    ("MQTT-3.1.2-13", "both", "Without the will flag will retain is 0."),
    ("MQTT-3.1.2-14", "server", "Without will retain the will is published as not retained."),
    ("MQTT-3.1.2-15", "server", "With will retain the will is published as retained."),
    ("MQTT-3.1.2-16", "both", "Without the user name flag there is no user name."),
    ("MQTT-3.1.2-17", "both", "With the user name flag there is one."),
    ("MQTT-3.1.2-18", "both", "Without the password flag there is no password."),
    ("MQTT-3.1.2-19", "both", "With the password flag there is one."),
    ("MQTT-3.1.2-20", "client", "A client that has nothing else to send sends PINGREQ in time."),
    ("MQTT-3.1.2-21", "client", "It uses the server's keep-alive where it is given one."),
    ("MQTT-3.1.2-22", "server", "After one and a half keep-alive times without a packet the "
     "connection ends as if the network had failed."),
    ("MQTT-3.1.2-23", "both", "With an expiry interval above 0 the session is kept when the "
     "connection ends."),
    ("MQTT-3.1.2-24", "server", "Nothing larger than the client's Maximum Packet Size is sent."),
    ("MQTT-3.1.2-25", "server", "What is too large is discarded and counts as delivered."),
    ("MQTT-3.1.2-26", "server", "No topic alias above the client's maximum is sent."),
    ("MQTT-3.1.2-27", "server", "None at all where the client gave no maximum or 0."),
    ("MQTT-3.1.2-28", "server", "No response information for who did not ask."),
    ("MQTT-3.1.2-29", "server", "No reason strings and user properties, but in PUBLISH, CONNACK "
     "and DISCONNECT, for who does not want them."),
    ("MQTT-3.1.2-30", "client", "Who named an authentication method sends only AUTH or DISCONNECT "
     "before CONNACK."),
    ("MQTT-3.1.3-1", "both", "The payload's order: identifier, will, user name, password."),
    ("MQTT-3.1.3-2", "both", "The client identifier is what a session is known by."),
    ("MQTT-3.1.3-3", "both", "The client identifier is there and comes first."),
    ("MQTT-3.1.3-4", "both", "The client identifier is well-formed text."),
    ("MQTT-3.1.3-5", "server", "Identifiers of 1 to 23 letters and digits are allowed."),
    ("MQTT-3.1.3-6", "server", "A client that is allowed to have no identifier gets one of its "
     "own."),
    ("MQTT-3.1.3-7", "server", "Everything goes on as if the client had sent it, and CONNACK tells "
     "it."),
    ("MQTT-3.1.3-8", "server", "To an identifier that it does not accept a server may answer 0x85, "
     "and closes."),
    ("MQTT-3.1.3-9", "server", "No will for who comes back within the delay."),
    ("MQTT-3.1.3-10", "server", "The user properties of a will keep their order."),
    ("MQTT-3.1.3-11", "both", "The will's topic is well-formed text."),
    ("MQTT-3.1.3-12", "both", "The user name is well-formed text."),
    ("MQTT-3.1.4-1", "server", "A CONNECT against the rules ends the connection."),
    ("MQTT-3.1.4-2", "server", "So does one that fails further checks, such as who it is."),
    ("MQTT-3.1.4-3", "server", "A client identifier that is connected already: the older "
     "connection gets DISCONNECT 0x8E and ends."),
    ("MQTT-3.1.4-4", "server", "Clean start is carried out."),
    ("MQTT-3.1.4-5", "server", "An accepted CONNECT gets CONNACK 0x00."),
    ("MQTT-3.1.4-6", "server", "After a refusal nothing of the client but AUTH is processed."),
    ("MQTT-3.2.0-1", "server", "CONNACK 0x00 precedes everything but AUTH."),
    ("MQTT-3.2.0-2", "server", "There is one CONNACK a connection."),
    ("MQTT-3.2.2-1", "server", "The reserved flags of CONNACK are 0."),
    ("MQTT-3.2.2-2", "server", "Clean start has session present 0."),
    ("MQTT-3.2.2-3", "server", "Otherwise it says whether there is a session."),
    ("MQTT-3.2.2-4", "client", "A client without state that is told of a session closes.",
     NO_STATE),
    ("MQTT-3.2.2-5", "client", "A client with state that is told of none forgets its own."),
    ("MQTT-3.2.2-6", "server", "A refusal has session present 0."),
    ("MQTT-3.2.2-7", "server", "A refusal ends the connection."),
    ("MQTT-3.2.2-8", "server", "The codes of CONNACK are the listed ones."),
    ("MQTT-3.2.2-9", "server", "A server without QoS 1 or 2 says so with Maximum QoS."),
    ("MQTT-3.2.2-10", "server", "and takes subscriptions of every QoS all the same."),
    ("MQTT-3.2.2-11", "client", "A client does not publish above that QoS."),
    ("MQTT-3.2.2-12", "server", "A will above it is refused."),
    ("MQTT-3.2.2-13", "server", "A retained will is refused where nothing is retained."),
    ("MQTT-3.2.2-14", "client", "A client retains nothing where that is not offered."),
    ("MQTT-3.2.2-15", "client", "A client sends nothing above the server's Maximum Packet Size."),
    ("MQTT-3.2.2-16", "server", "An assigned client identifier is told and belongs to no other "
     "session."),
    ("MQTT-3.2.2-17", "client", "A client sends no topic alias above the server's maximum."),
    ("MQTT-3.2.2-18", "client", "None at all where the server gave no maximum."),
    ("MQTT-3.2.2-19", "server", "A Reason String never makes CONNACK too large for the client."),
    ("MQTT-3.2.2-20", "server", "Nor do User Properties."),
    ("MQTT-3.2.2-21", "client", "A client uses the server's keep-alive where it is given one."),
    ("MQTT-3.2.2-22", "server", "A server that gives none uses the client's."),
    ("MQTT-3.3.1-1", "both", "DUP is set on a PUBLISH that is sent again."),
    ("MQTT-3.3.1-2", "both", "DUP is 0 with QoS 0."),
    ("MQTT-3.3.1-3", "server", "DUP of what goes out has nothing to do with DUP of what came in."),
    ("MQTT-3.3.1-4", "both", "QoS 3 does not exist."),
    ("MQTT-3.3.1-5", "server", "A retained PUBLISH replaces the topic's retained message and is "
     "stored with its QoS."),
    ("MQTT-3.3.1-6", "server", "An empty one is delivered and removes it."),
    ("MQTT-3.3.1-7", "server", "An empty message is never stored as retained."),
    ("MQTT-3.3.1-8", "server", "A PUBLISH that is not retained neither stores nor removes."),
    ("MQTT-3.3.1-9", "server", "Retain Handling 0 sends the matching retained messages."),
    ("MQTT-3.3.1-10", "server", "Retain Handling 1 sends them for a new subscription only."),
    ("MQTT-3.3.1-11", "server", "Retain Handling 2 sends none."),
    ("MQTT-3.3.1-12", "server", "Without Retain As Published messages come with RETAIN 0."),
    ("MQTT-3.3.1-13", "server", "With it they come with RETAIN as it was published."),
    ("MQTT-3.3.2-1", "both", "The topic name comes first in PUBLISH and is well-formed text."),
    ("MQTT-3.3.2-2", "both", "A topic name has no wildcards."),
    ("MQTT-3.3.2-3", "server", "The topic name that a subscriber gets matches its filter."),
    ("MQTT-3.3.2-4", "server", "The payload format indicator arrives unaltered."),
    ("MQTT-3.3.2-5", "server", "A copy whose expiry interval is over before it was sent is "
     "deleted."),
    ("MQTT-3.3.2-6", "server", "What is sent says its expiry interval less the time it waited."),
    ("MQTT-3.3.2-7", "both", "Topic aliases end with their connection."),
    ("MQTT-3.3.2-8", "both", "Topic alias 0 is not sent."),
    ("MQTT-3.3.2-9", "client", "A client sends no alias above the server's maximum."),
    ("MQTT-3.3.2-10", "client", "It takes every alias up to its own maximum."),
    ("MQTT-3.3.2-11", "server", "A server sends no alias above the client's maximum."),
    ("MQTT-3.3.2-12", "server", "It takes every alias up to its own maximum."),
    ("MQTT-3.3.2-13", "both", "The response topic is well-formed text."),
    ("MQTT-3.3.2-14", "both", "and has no wildcards."),
    ("MQTT-3.3.2-15", "server", "It arrives unaltered."),
    ("MQTT-3.3.2-16", "server", "Correlation data arrive unaltered."),
    ("MQTT-3.3.2-17", "server", "User properties arrive unaltered."),
    ("MQTT-3.3.2-18", "server", "and in their order."),
    ("MQTT-3.3.2-19", "both", "The content type is well-formed text."),
    ("MQTT-3.3.2-20", "server", "It arrives unaltered."),
    ("MQTT-3.3.4-1", "both", "A PUBLISH is answered as its QoS demands."),
    ("MQTT-3.3.4-2", "server", "With overlapping subscriptions the highest QoS among them counts."),
    ("MQTT-3.3.4-3", "server", "Subscription identifiers come with the messages."),
    ("MQTT-3.3.4-4", "server", "One copy has the identifiers of all matching subscriptions."),
    ("MQTT-3.3.4-5", "server", "Of several copies each has the identifier of its subscription."),
    ("MQTT-3.3.4-6", "client", "A client publishes without subscription identifiers."),
    ("MQTT-3.3.4-7", "client", "A client has at most the server's Receive Maximum of messages "
     "above QoS 0 unacknowledged."),
    ("MQTT-3.3.4-8", "client", "and sends all other packets meanwhile."),
    ("MQTT-3.3.4-9", "server", "A server has at most the client's Receive Maximum of them "
     "unacknowledged."),
    ("MQTT-3.3.4-10", "server", "and sends all other packets meanwhile."),
    ("MQTT-3.4.2-1", "both", "The codes of PUBACK are the listed ones."),
    ("MQTT-3.4.2-2", "both", "A Reason String never makes PUBACK too large for its receiver."),
    ("MQTT-3.4.2-3", "both", "Nor do User Properties."),
    ("MQTT-3.5.2-1", "both", "The codes of PUBREC are the listed ones."),
    ("MQTT-3.5.2-2", "both", "A Reason String never makes PUBREC too large for its receiver."),
    ("MQTT-3.5.2-3", "both", "Nor do User Properties."),
    ("MQTT-3.6.1-1", "both", "The flags of PUBREL are 0010; others are malformed and end the "
     "connection."),
    ("MQTT-3.6.2-1", "both", "The codes of PUBREL are the listed ones."),
    ("MQTT-3.6.2-2", "both", "A Reason String never makes PUBREL too large for its receiver."),
    ("MQTT-3.6.2-3", "both", "Nor do User Properties."),
    ("MQTT-3.7.2-1", "both", "The codes of PUBCOMP are the listed ones."),
    ("MQTT-3.7.2-2", "both", "A Reason String never makes PUBCOMP too large for its receiver."),
    ("MQTT-3.7.2-3", "both", "Nor do User Properties."),
    ("MQTT-3.8.1-1", "both", "The flags of SUBSCRIBE are 0010; others are malformed and end the "
     "connection."),
    ("MQTT-3.8.3-1", "both", "Topic filters in SUBSCRIBE are well-formed text."),
    ("MQTT-3.8.3-2", "both", "SUBSCRIBE has at least one filter with its options."),
    ("MQTT-3.8.3-3", "server", "With No Local nobody hears what it published itself."),
    ("MQTT-3.8.3-4", "both", "No Local with a shared subscription is a protocol error."),
    ("MQTT-3.8.3-5", "server", "Reserved bits of the options make SUBSCRIBE malformed."),
    ("MQTT-3.8.4-1", "server", "SUBSCRIBE is answered with SUBACK."),
    ("MQTT-3.8.4-2", "server", "with the same identifier."),
    ("MQTT-3.8.4-3", "server", "The same filter again replaces the subscription, if not shared."),
    ("MQTT-3.8.4-4", "server", "With Retain Handling 0 retained messages come again then, and no "
     "message is lost."),
    ("MQTT-3.8.4-5", "server", "Several filters are handled one by one and answered together."),
    ("MQTT-3.8.4-6", "server", "SUBACK has a code for each filter."),
    ("MQTT-3.8.4-7", "server", "The code is the granted QoS or a failure."),
    ("MQTT-3.8.4-8", "server", "Messages come with the lower of their own and the granted QoS."),
    ("MQTT-3.9.2-1", "server", "A Reason String never makes SUBACK too large for the client."),
    ("MQTT-3.9.2-2", "server", "Nor do User Properties."),
    ("MQTT-3.9.3-1", "server", "The codes of SUBACK are in the order of the filters."),
    ("MQTT-3.9.3-2", "server", "The codes of SUBACK are the listed ones."),
    ("MQTT-3.10.1-1", "both", "The flags of UNSUBSCRIBE are 0010; others are malformed and end the "
     "connection."),
    ("MQTT-3.10.3-1", "both", "Topic filters in UNSUBSCRIBE are well-formed text."),
    ("MQTT-3.10.3-2", "both", "UNSUBSCRIBE has at least one filter."),
    ("MQTT-3.10.4-1", "server", "Filters are compared character by character; an exact match ends "
     "the subscription."),
    ("MQTT-3.10.4-2", "server", "It brings no new messages then."),
    ("MQTT-3.10.4-3", "server", "Deliveries of QoS 1 and 2 that had begun are completed."),
    ("MQTT-3.10.4-4", "server", "UNSUBSCRIBE is answered with UNSUBACK."),
    ("MQTT-3.10.4-5", "server", "with the same identifier, also where there was no subscription."),
    ("MQTT-3.10.4-6", "server", "Several filters are handled one by one and answered together."),
    ("MQTT-3.11.2-1", "server", "A Reason String never makes UNSUBACK too large for the client."),
    ("MQTT-3.11.2-2", "server", "Nor do User Properties."),
    ("MQTT-3.11.3-1", "server", "The codes of UNSUBACK are in the order of the filters."),
    ("MQTT-3.11.3-2", "server", "The codes of UNSUBACK are the listed ones."),
    ("MQTT-3.12.4-1", "server", "PINGREQ is answered with PINGRESP."),
    ("MQTT-3.14.0-1", "server", "No DISCONNECT before a CONNACK that accepts."),
    ("MQTT-3.14.1-1", "both", "Reserved flags of DISCONNECT are checked; the answer to wrong ones "
     "is DISCONNECT 0x81."),
    ("MQTT-3.14.2-1", "both", "The codes of DISCONNECT are the listed ones."),
    ("MQTT-3.14.2-2", "server", "A server's DISCONNECT has no session expiry interval."),
    ("MQTT-3.14.2-3", "both", "A Reason String never makes DISCONNECT too large for its receiver."),
    ("MQTT-3.14.2-4", "both", "Nor do User Properties."),
    ("MQTT-3.14.4-1", "both", "Nothing is sent after DISCONNECT."),
    ("MQTT-3.14.4-2", "both", "Who sent it closes the connection."),
    ("MQTT-3.14.4-3", "server", "DISCONNECT 0x00 discards the will."),
    ("MQTT-3.15.1-1", "both", "The flags of AUTH are 0; others are malformed and end the "
     "connection."),
    ("MQTT-3.15.2-1", "both", "The codes of AUTH are the listed ones."),
    ("MQTT-3.15.2-2", "both", "A Reason String never makes AUTH too large for its receiver.",
     NO_AUTH),
    ("MQTT-3.15.2-3", "both", "Nor do User Properties.", NO_AUTH),
    ("MQTT-4.1.0-1", "both", "A session is not discarded while its connection is open."),
    ("MQTT-4.1.0-2", "server", "It is discarded once the connection has ended and its expiry "
     "interval is over."),
    ("MQTT-4.2.0-1", "both", "There is a transport that is ordered, lossless and works both ways."),
    ("MQTT-4.3.1-1", "both", "QoS 0 goes out with QoS 0 and DUP 0."),
    ("MQTT-4.3.2-1", "both", "Who sends QoS 1 takes a free identifier for each message."),
    ("MQTT-4.3.2-2", "both", "It goes out with DUP 0."),
    ("MQTT-4.3.2-3", "both", "It is unacknowledged until PUBACK."),
    ("MQTT-4.3.2-4", "both", "Who receives QoS 1 answers with PUBACK once it owns the message."),
    ("MQTT-4.3.2-5", "both", "After PUBACK the identifier means a new message, whatever DUP says."),
    ("MQTT-4.3.3-1", "both", "Who sends QoS 2 takes a free identifier for each message."),
    ("MQTT-4.3.3-2", "both", "It goes out with DUP 0."),
    ("MQTT-4.3.3-3", "both", "It is unacknowledged until PUBREC."),
    ("MQTT-4.3.3-4", "both", "A PUBREC below 0x80 is answered with PUBREL and the same "
     "identifier."),
    ("MQTT-4.3.3-5", "both", "PUBREL is unacknowledged until PUBCOMP."),
    ("MQTT-4.3.3-6", "both", "PUBLISH is not sent again after PUBREL."),
    ("MQTT-4.3.3-7", "both", "Expiry does not count once PUBLISH was sent."),
    ("MQTT-4.3.3-8", "both", "Who receives QoS 2 answers with PUBREC once it owns the message."),
    ("MQTT-4.3.3-9", "both", "After a PUBREC of 0x80 or more the identifier means a new message."),
    ("MQTT-4.3.3-10", "both", "Until PUBREL the same PUBLISH gets PUBREC again and is not handed "
     "on again."),
    ("MQTT-4.3.3-11", "both", "PUBREL is answered with PUBCOMP and the same identifier."),
    ("MQTT-4.3.3-12", "both", "After PUBCOMP the identifier means a new message."),
    ("MQTT-4.3.3-13", "both", "The exchange is completed even when the message has expired."),
    ("MQTT-4.4.0-1", "both", "When a session goes on, unacknowledged PUBLISH and PUBREL are sent "
     "again with their identifiers, and never otherwise."),
    ("MQTT-4.4.0-2", "both", "PUBACK or PUBREC of 0x80 or more acknowledge: the message is not "
     "sent again."),
    ("MQTT-4.5.0-1", "server", "A message taken over joins the session of every client with a "
     "matching subscription."),
    ("MQTT-4.5.0-2", "client", "A client acknowledges what it receives, whatever it does with it."),
    ("MQTT-4.6.0-1", "client", "A client sends PUBLISH packets again in their order.",
     NO_RESENDING),
    ("MQTT-4.6.0-2", "client", "Its PUBACK come in the order of their PUBLISH."),
    ("MQTT-4.6.0-3", "client", "Its PUBREC come in the order of their PUBLISH."),
    ("MQTT-4.6.0-4", "client", "Its PUBREL come in the order of their PUBREC.", NO_PUBREL),
    ("MQTT-4.6.0-5", "server", "Messages of one client, ordered topic and QoS reach each consumer "
     "in their order."),
    ("MQTT-4.6.0-6", "server", "Every topic is ordered for subscriptions that are not shared."),
    ("MQTT-4.7.0-1", "both", "Wildcards stand in filters, never in topic names."),
    ("MQTT-4.7.1-1", "both", "'#' is the last character, alone or behind '/'."),
    ("MQTT-4.7.1-2", "both", "'+' fills a whole level, at any place."),
    ("MQTT-4.7.2-1", "server", "A filter that begins with a wildcard selects no topic that begins "
     "with '$'."),
    ("MQTT-4.7.3-1", "both", "Names and filters have at least one character."),
    ("MQTT-4.7.3-2", "both", "and no null character."),
    ("MQTT-4.7.3-3", "both", "and at most 65,535 bytes."),
    ("MQTT-4.7.3-4", "server", "Matching normalizes and replaces nothing."),
    ("MQTT-4.8.2-1", "both", "A shared filter begins with $share/ and a name of at least one "
     "character."),
    ("MQTT-4.8.2-2", "both", "The name has none of '/', '+', '#'; a '/' and a filter follow it."),
    ("MQTT-4.8.2-3", "server", "Each member gets its messages with the QoS that it was granted."),
    ("MQTT-4.8.2-4", "server", "A QoS 2 delivery that has begun is completed with the same member "
     "when it returns."),
    ("MQTT-4.8.2-5", "server", "If its session ends first, no other member gets the message."),
    ("MQTT-4.8.2-6", "server", "A message that a member refuses with 0x80 or more goes to no "
     "other."),
    ("MQTT-4.9.0-1", "both", "The send quota begins above 0 and at most at Receive Maximum."),
    ("MQTT-4.9.0-2", "both", "At 0 nothing above QoS 0 is published."),
    ("MQTT-4.9.0-3", "both", "At 0 all other packets are processed and answered."),
    ("MQTT-4.12.0-1", "server", "To a method that it does not know a server may answer 0x8C or "
     "0x87, and closes."),
    ("MQTT-4.12.0-2", "server", "The AUTH that asks for more has 0x18.", NO_AUTH),
    ("MQTT-4.12.0-3", "client", "So has its answer.", NO_METHOD),
    ("MQTT-4.12.0-4", "server", "A server may refuse at any step with CONNACK, and closes."),
    ("MQTT-4.12.0-5", "both", "Every AUTH, and the CONNACK, name the method of CONNECT.", NO_AUTH),
    ("MQTT-4.12.0-6", "server", "A server sends no AUTH and names no method where the client named "
     "none."),
    ("MQTT-4.12.0-7", "client", "Nor does the client send AUTH then."),
    ("MQTT-4.12.1-1", "client", "Who authenticates again uses the same method.", NO_METHOD),
    ("MQTT-4.12.1-2", "both", "If that fails the connection ends.", NO_AUTH),
    ("MQTT-4.13.1-1", "server", "A malformed packet or protocol error ends the connection."),
    ("MQTT-4.13.2-1", "both", "A reason code of 0x80 or more in CONNACK or DISCONNECT ends it, "
     "whether or not it could be sent."),
    ("MQTT-6.0.0-1", "both", "Over WebSocket only binary frames are used.", NO_WEBSOCKET),
    ("MQTT-6.0.0-2", "both", "Packets and WebSocket frames may be cut differently.", NO_WEBSOCKET),
    ("MQTT-6.0.0-3", "client", "A WebSocket client offers the subprotocol mqtt.", NO_WEBSOCKET),
    ("MQTT-6.0.0-4", "server", "A WebSocket server selects the subprotocol mqtt.", NO_WEBSOCKET),
)
