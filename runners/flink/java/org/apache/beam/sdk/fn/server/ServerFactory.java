package org.apache.beam.sdk.fn.server;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import org.apache.beam.model.pipeline.v1.Endpoints.ApiServiceDescriptor;
import org.apache.beam.sdk.fn.channel.SocketAddressFactory;
import org.apache.beam.vendor.grpc.v1p60p1.io.grpc.BindableService;
import org.apache.beam.vendor.grpc.v1p60p1.io.grpc.Server;
import org.apache.beam.vendor.grpc.v1p60p1.io.grpc.ServerInterceptors;
import org.apache.beam.vendor.grpc.v1p60p1.io.grpc.netty.NettyServerBuilder;

/**
 * Stands before Beam's class of this name, whose servers listen on every interface though they are meant for workers on the same
 * machine: these listen on the loopback alone. What is the same for callers: names, the address they are told, no limit to messages.
 */
public class ServerFactory {
  private final UrlFactory urls;
  private final Supplier<Integer> ports;

  private ServerFactory(UrlFactory urls, Supplier<Integer> ports) {
    this.urls = urls;
    this.ports = ports;
  }

  public static ServerFactory createDefault() {
    return createWithUrlFactory(UrlFactory.createDefault());
  }

  public static ServerFactory createWithUrlFactory(UrlFactory urls) {
    return createWithUrlFactoryAndPortSupplier(urls, () -> 0);
  }

  public static ServerFactory createWithPortSupplier(Supplier<Integer> ports) {
    return createWithUrlFactoryAndPortSupplier(UrlFactory.createDefault(), ports);
  }

  public static ServerFactory createWithUrlFactoryAndPortSupplier(UrlFactory urls, Supplier<Integer> ports) {
    return new ServerFactory(urls, ports);
  }

  public Server allocateAddressAndCreate(List<BindableService> services, ApiServiceDescriptor.Builder told) throws IOException {
    InetAddress loopback = InetAddress.getLoopbackAddress();
    Server server = start(services, new InetSocketAddress(loopback, ports.get()));
    told.setUrl(urls.createUrl(loopback.getHostAddress(), server.getPort()));
    return server;
  }

  public Server create(List<BindableService> services, ApiServiceDescriptor where) throws IOException {
    InetSocketAddress address = (InetSocketAddress) SocketAddressFactory.createFrom(where.getUrl());
    return start(services, new InetSocketAddress(InetAddress.getLoopbackAddress(), address.getPort()));
  }

  private static Server start(List<BindableService> services, InetSocketAddress address) throws IOException {
    NettyServerBuilder builder = NettyServerBuilder.forAddress(address).maxInboundMessageSize(Integer.MAX_VALUE).permitKeepAliveTime(20, TimeUnit.SECONDS);
    for (BindableService service : services) {
      builder.addService(ServerInterceptors.intercept(service, GrpcContextHeaderAccessorProvider.interceptor()));
    }
    return builder.build().start();
  }

  /** What a server's address is called. */
  public interface UrlFactory {
    String createUrl(String host, int port);

    static UrlFactory createDefault() {
      return (host, port) -> host + ":" + port;
    }
  }
}
