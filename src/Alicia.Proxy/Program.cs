return await Alicia.Proxy.Hosting.CommandLine.RunAsync(args);
