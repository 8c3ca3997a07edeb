//! The kernel's numbers (`linux/netfilter/nf_tables.h`).

/// A message of nftables; the subsystem is in the upper byte.
pub(super) const fn message(number: u16) -> u16 {
    (10 << 8) | number
}

pub(super) const NEW_TABLE: u16 = message(0);
pub(super) const GET_TABLE: u16 = message(1);
pub(super) const DELETE_TABLE: u16 = message(2);
pub(super) const NEW_CHAIN: u16 = message(3);
pub(super) const GET_CHAIN: u16 = message(4);
pub(super) const DELETE_CHAIN: u16 = message(5);
pub(super) const NEW_RULE: u16 = message(6);
pub(super) const GET_RULE: u16 = message(7);
pub(super) const DELETE_RULE: u16 = message(8);
pub(super) const NEW_SET: u16 = message(9);
pub(super) const NEW_ELEMENT: u16 = message(12);
pub(super) const GET_ELEMENT: u16 = message(13);
pub(super) const DELETE_ELEMENT: u16 = message(14);

pub(super) const NLM_F_CREATE: u16 = 0x400;
pub(super) const NLM_F_APPEND: u16 = 0x800;
pub(super) const NLM_F_EXCL: u16 = 0x200;

/// The length of an `nfgenmsg`.
pub(super) const HEADER: usize = 4;

pub(super) const TABLE_NAME: u16 = 1;
pub(super) const TABLE_FLAGS: u16 = 2;
/// `NFT_TABLE_F_DORMANT`.
pub(super) const DORMANT: u32 = 1;

pub(super) const CHAIN_TABLE: u16 = 1;
pub(super) const CHAIN_NAME: u16 = 3;
pub(super) const CHAIN_HOOK: u16 = 4;
pub(super) const CHAIN_POLICY: u16 = 5;
pub(super) const CHAIN_TYPE: u16 = 7;
pub(super) const HOOK_NUMBER: u16 = 1;
pub(super) const HOOK_PRIORITY: u16 = 2;

pub(super) const RULE_TABLE: u16 = 1;
pub(super) const RULE_CHAIN: u16 = 2;
pub(super) const RULE_EXPRESSIONS: u16 = 4;

pub(super) const LIST_ELEMENT: u16 = 1;
pub(super) const EXPRESSION_NAME: u16 = 1;
pub(super) const EXPRESSION_DATA: u16 = 2;

pub(super) const SET_TABLE: u16 = 1;
pub(super) const SET_NAME: u16 = 2;
pub(super) const SET_FLAGS: u16 = 3;
pub(super) const SET_KEY_TYPE: u16 = 4;
pub(super) const SET_KEY_LENGTH: u16 = 5;
pub(super) const SET_DATA_TYPE: u16 = 6;
pub(super) const SET_DATA_LENGTH: u16 = 7;
pub(super) const SET_ID: u16 = 10;
pub(super) const SET_DESCRIPTION: u16 = 9;
pub(super) const SET_TIMEOUT: u16 = 11;
pub(super) const SET_EXPRESSION: u16 = 17;
pub(super) const DESCRIPTION_SIZE: u16 = 1;
pub(super) const DESCRIPTION_FIELDS: u16 = 2;
pub(super) const FIELD_LENGTH: u16 = 1;
pub(super) const SET_ANONYMOUS: u32 = 1;
pub(super) const SET_CONSTANT: u32 = 2;
pub(super) const SET_INTERVAL: u32 = 4;
pub(super) const SET_MAP: u32 = 8;
/// Its elements end after a time.
pub(super) const SET_EXPIRES: u32 = 0x10;
/// Packets fill it.
pub(super) const SET_FILLED_BY_PACKETS: u32 = 0x20;
/// A key of several fields, of which each may be a range.
pub(super) const SET_CONCATENATION: u32 = 0x80;
pub(super) const DATA_TYPE_VERDICT: u32 = 0xffff_ff00;

pub(super) const ELEMENTS_TABLE: u16 = 1;
pub(super) const ELEMENTS_SET: u16 = 2;
pub(super) const ELEMENTS_LIST: u16 = 3;
pub(super) const ELEMENTS_SET_ID: u16 = 4;
pub(super) const ELEMENT_KEY: u16 = 1;
pub(super) const ELEMENT_DATA: u16 = 2;
pub(super) const ELEMENT_FLAGS: u16 = 3;
pub(super) const ELEMENT_EXPRESSION: u16 = 7;
pub(super) const ELEMENT_KEY_END: u16 = 10;
/// The element is where a range ends: the first that is not in it.
pub(super) const INTERVAL_END: u32 = 1;

pub(super) const DATA_VALUE: u16 = 1;
pub(super) const DATA_VERDICT: u16 = 2;
pub(super) const VERDICT_CODE: u16 = 1;
pub(super) const VERDICT_CHAIN: u16 = 2;

pub(super) const DROP: i32 = 0;
pub(super) const ACCEPT: i32 = 1;
pub(super) const JUMP: i32 = -3;
pub(super) const GOTO: i32 = -4;
pub(super) const RETURN: i32 = -5;

pub(super) const META_DREG: u16 = 1;
pub(super) const META_KEY: u16 = 2;
pub(super) const META_IIFNAME: u32 = 6;
pub(super) const META_OIFNAME: u32 = 7;
pub(super) const META_NFPROTO: u32 = 15;
pub(super) const META_L4PROTO: u32 = 16;
pub(super) const META_IIFGROUP: u32 = 21;
pub(super) const META_OIFGROUP: u32 = 22;

pub(super) const CMP_SREG: u16 = 1;
pub(super) const CMP_OP: u16 = 2;
pub(super) const CMP_DATA: u16 = 3;
pub(super) const CMP_EQUAL: u32 = 0;
pub(super) const CMP_NOT_EQUAL: u32 = 1;

pub(super) const PAYLOAD_DREG: u16 = 1;
pub(super) const PAYLOAD_BASE: u16 = 2;
pub(super) const PAYLOAD_OFFSET: u16 = 3;
pub(super) const PAYLOAD_LENGTH: u16 = 4;
pub(super) const BASE_LINK: u32 = 0;
pub(super) const BASE_NETWORK: u32 = 1;
pub(super) const BASE_TRANSPORT: u32 = 2;

pub(super) const BITWISE_SREG: u16 = 1;
pub(super) const BITWISE_DREG: u16 = 2;
pub(super) const BITWISE_LENGTH: u16 = 3;
pub(super) const BITWISE_MASK: u16 = 4;
pub(super) const BITWISE_XOR: u16 = 5;

pub(super) const IMMEDIATE_DREG: u16 = 1;
pub(super) const IMMEDIATE_DATA: u16 = 2;

pub(super) const LOOKUP_SET: u16 = 1;
pub(super) const LOOKUP_SREG: u16 = 2;
pub(super) const LOOKUP_DREG: u16 = 3;
pub(super) const LOOKUP_SET_ID: u16 = 4;
pub(super) const LOOKUP_FLAGS: u16 = 5;
pub(super) const LOOKUP_INVERTED: u32 = 1;

pub(super) const COUNTER_BYTES: u16 = 1;
pub(super) const COUNTER_PACKETS: u16 = 2;

pub(super) const CT_DREG: u16 = 1;
pub(super) const CT_KEY: u16 = 2;
pub(super) const CT_STATE: u32 = 0;
pub(super) const CT_STATUS: u32 = 2;

pub(super) const DYNAMIC_SET: u16 = 1;
pub(super) const DYNAMIC_OPERATION: u16 = 3;
pub(super) const DYNAMIC_SREG: u16 = 4;
pub(super) const DYNAMIC_EXPRESSION: u16 = 7;
/// Makes an element if it is missing.
pub(super) const DYNAMIC_ADD: u32 = 0;
/// The same, and the time until it ends begins again.
pub(super) const DYNAMIC_UPDATE: u32 = 1;

pub(super) const LIMIT_RATE: u16 = 1;
pub(super) const LIMIT_UNIT: u16 = 2;
pub(super) const LIMIT_BURST: u16 = 3;
pub(super) const LIMIT_TYPE: u16 = 4;
pub(super) const LIMIT_FLAGS: u16 = 5;
pub(super) const CONNECTIONS_COUNT: u16 = 1;

pub(super) const NAT_TYPE: u16 = 1;
pub(super) const NAT_FAMILY: u16 = 2;
pub(super) const NAT_ADDRESS_MIN: u16 = 3;
pub(super) const NAT_PORT_MIN: u16 = 5;
pub(super) const NAT_DESTINATION: u32 = 1;

pub(super) const FIB_DREG: u16 = 1;
pub(super) const FIB_RESULT: u16 = 2;
pub(super) const FIB_FLAGS: u16 = 3;
pub(super) const FIB_ADDRESS_TYPE: u32 = 3;
pub(super) const FIB_DESTINATION: u32 = 2;
/// `RTN_LOCAL`.
pub(super) const TYPE_LOCAL: u32 = 2;

/// The register of verdicts.
pub(super) const REGISTER_VERDICT: u32 = 0;

/// The register that begins with the word, 0 to 15, by the name that the kernel tells it under.
pub(super) const fn register(word: u32) -> u32 {
    if word.is_multiple_of(4) { 1 + word / 4 } else { 8 + word }
}
