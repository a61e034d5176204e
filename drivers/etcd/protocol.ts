// What the driver says to etcd and hears from it, so that the client need not read its own files for that. It is to be
// imported before the client: that loads its protocol while it is loaded itself.
import protobuf from "protobufjs";

/** Keys and what happened to them. */
const KEYS = `
  syntax = "proto3";
  package mvccpb;
  message KeyValue {
    bytes key = 1;
    int64 create_revision = 2;
    int64 mod_revision = 3;
    int64 version = 4;
    bytes value = 5;
    int64 lease = 6;
  }
  message Event {
    enum EventType { Put = 0; Delete = 1; }
    EventType type = 1;
    KeyValue kv = 2;
    KeyValue prev_kv = 3;
  }`;

/** The services that the driver uses, and their messages. */
const SERVICES = `
  syntax = "proto3";
  package etcdserverpb;
  service KV {
    rpc Range(RangeRequest) returns (RangeResponse);
    rpc Txn(TxnRequest) returns (TxnResponse);
  }
  service Watch {
    rpc Watch(stream WatchRequest) returns (stream WatchResponse);
  }
  service Lease {
    rpc LeaseGrant(LeaseGrantRequest) returns (LeaseGrantResponse);
    rpc LeaseRevoke(LeaseRevokeRequest) returns (LeaseRevokeResponse);
    rpc LeaseKeepAlive(stream LeaseKeepAliveRequest) returns (stream LeaseKeepAliveResponse);
    rpc LeaseTimeToLive(LeaseTimeToLiveRequest) returns (LeaseTimeToLiveResponse);
  }
  service Auth {
    rpc Authenticate(AuthenticateRequest) returns (AuthenticateResponse);
  }
  message ResponseHeader { uint64 cluster_id = 1; uint64 member_id = 2; int64 revision = 3; uint64 raft_term = 4; }
  message RangeRequest {
    enum SortOrder { None = 0; Ascend = 1; Descend = 2; }
    enum SortTarget { Key = 0; Version = 1; Create = 2; Mod = 3; Value = 4; }
    bytes key = 1;
    bytes range_end = 2;
    int64 limit = 3;
    int64 revision = 4;
    SortOrder sort_order = 5;
    SortTarget sort_target = 6;
    bool serializable = 7;
    bool keys_only = 8;
    bool count_only = 9;
    int64 min_mod_revision = 10;
    int64 max_mod_revision = 11;
    int64 min_create_revision = 12;
    int64 max_create_revision = 13;
  }
  message RangeResponse { ResponseHeader header = 1; repeated mvccpb.KeyValue kvs = 2; bool more = 3; int64 count = 4; }
  message PutRequest {
    bytes key = 1;
    bytes value = 2;
    int64 lease = 3;
    bool prev_kv = 4;
    bool ignore_value = 5;
    bool ignore_lease = 6;
  }
  message PutResponse { ResponseHeader header = 1; mvccpb.KeyValue prev_kv = 2; }
  message DeleteRangeRequest { bytes key = 1; bytes range_end = 2; bool prev_kv = 3; }
  message DeleteRangeResponse { ResponseHeader header = 1; int64 deleted = 2; repeated mvccpb.KeyValue prev_kvs = 3; }
  message RequestOp {
    oneof request {
      RangeRequest request_range = 1;
      PutRequest request_put = 2;
      DeleteRangeRequest request_delete_range = 3;
      TxnRequest request_txn = 4;
    }
  }
  message ResponseOp {
    oneof response {
      RangeResponse response_range = 1;
      PutResponse response_put = 2;
      DeleteRangeResponse response_delete_range = 3;
      TxnResponse response_txn = 4;
    }
  }
  message Compare {
    enum CompareResult { Equal = 0; Greater = 1; Less = 2; NotEqual = 3; }
    enum CompareTarget { Version = 0; Create = 1; Mod = 2; Value = 3; Lease = 4; }
    CompareResult result = 1;
    CompareTarget target = 2;
    bytes key = 3;
    oneof target_union {
      int64 version = 4;
      int64 create_revision = 5;
      int64 mod_revision = 6;
      bytes value = 7;
      int64 lease = 8;
    }
    bytes range_end = 64;
  }
  message TxnRequest { repeated Compare compare = 1; repeated RequestOp success = 2; repeated RequestOp failure = 3; }
  message TxnResponse { ResponseHeader header = 1; bool succeeded = 2; repeated ResponseOp responses = 3; }
  message WatchRequest {
    oneof request_union { WatchCreateRequest create_request = 1; WatchCancelRequest cancel_request = 2; }
  }
  message WatchCreateRequest {
    enum FilterType { Noput = 0; Nodelete = 1; }
    bytes key = 1;
    bytes range_end = 2;
    int64 start_revision = 3;
    bool progress_notify = 4;
    repeated FilterType filters = 5;
    bool prev_kv = 6;
    int64 watch_id = 7;
    bool fragment = 8;
  }
  message WatchCancelRequest { int64 watch_id = 1; }
  message WatchResponse {
    ResponseHeader header = 1;
    int64 watch_id = 2;
    bool created = 3;
    bool canceled = 4;
    int64 compact_revision = 5;
    string cancel_reason = 6;
    bool fragment = 7;
    repeated mvccpb.Event events = 11;
  }
  message LeaseGrantRequest { int64 TTL = 1; int64 ID = 2; }
  message LeaseGrantResponse { ResponseHeader header = 1; int64 ID = 2; int64 TTL = 3; string error = 4; }
  message LeaseRevokeRequest { int64 ID = 1; }
  message LeaseRevokeResponse { ResponseHeader header = 1; }
  message LeaseKeepAliveRequest { int64 ID = 1; }
  message LeaseKeepAliveResponse { ResponseHeader header = 1; int64 ID = 2; int64 TTL = 3; }
  message LeaseTimeToLiveRequest { int64 ID = 1; bool keys = 2; }
  message LeaseTimeToLiveResponse {
    ResponseHeader header = 1;
    int64 ID = 2;
    int64 TTL = 3;
    int64 grantedTTL = 4;
    repeated bytes keys = 5;
  }
  message AuthenticateRequest { string name = 1; string password = 2; }
  message AuthenticateResponse { ResponseHeader header = 1; string token = 2; }`;

/** Adds the protocol to a root. */
export function addProtocol(root: protobuf.Root): protobuf.Root {
  for (const part of [KEYS, SERVICES]) protobuf.parse(part, root, { keepCase: true });
  return root;
}

const { prototype } = protobuf.Root;
const read = prototype.loadSync;

/** What is written here, where the client's file cannot be read: it may be forbidden, or all be bundled into one. */
prototype.loadSync = function (this: protobuf.Root, file, options) {
  try {
    return read.call(this, file, options);
  } catch (error) {
    if (!/\bproto\/rpc\.proto$/.test(String(file))) throw error;
    return addProtocol(this);
  } finally {
    prototype.loadSync = read;
  }
};
