module @step {
  func.func public @main(%arg0: tensor<2x1x3x3x3xf32> {tf.aliasing_output = 7 : i32}, %arg1: tensor<2xf32> {tf.aliasing_output = 10 : i32}, %arg2: tensor<2xf32> {tf.aliasing_output = 13 : i32}, %arg3: tensor<2xf32> {tf.aliasing_output = 22 : i32}, %arg4: tensor<2xf32> {tf.aliasing_output = 23 : i32}, %arg5: tensor<f32> {tf.aliasing_output = 24 : i32}, %arg6: tensor<3x2xf32> {tf.aliasing_output = 16 : i32}, %arg7: tensor<3xf32> {tf.aliasing_output = 19 : i32}, %arg8: tensor<2x1x3x3x3xf32> {tf.aliasing_output = 8 : i32}, %arg9: tensor<2xf32> {tf.aliasing_output = 11 : i32}, %arg10: tensor<2xf32> {tf.aliasing_output = 14 : i32}, %arg11: tensor<3x2xf32> {tf.aliasing_output = 17 : i32}, %arg12: tensor<3xf32> {tf.aliasing_output = 20 : i32}, %arg13: tensor<2x1x3x3x3xf32> {tf.aliasing_output = 9 : i32}, %arg14: tensor<2xf32> {tf.aliasing_output = 12 : i32}, %arg15: tensor<2xf32> {tf.aliasing_output = 15 : i32}, %arg16: tensor<3x2xf32> {tf.aliasing_output = 18 : i32}, %arg17: tensor<3xf32> {tf.aliasing_output = 21 : i32}, %arg18: tensor<2x1x4x4x4xf32>, %arg19: tensor<2xi32>, %arg20: tensor<3xf32>) -> (tensor<f32>, tensor<f32>, tensor<2x1x3x3x3xf32>, tensor<2xf32>, tensor<2xf32>, tensor<3x2xf32>, tensor<3xf32>, tensor<2x1x3x3x3xf32>, tensor<2x1x3x3x3xf32>, tensor<2x1x3x3x3xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<3x2xf32>, tensor<3x2xf32>, tensor<3x2xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<2xf32>, tensor<2xf32>, tensor<f32>) {
    // conv (conv)
    %0 = stablehlo.convert %arg18 : (tensor<2x1x4x4x4xf32>) -> tensor<2x1x4x4x4xbf16>
    %1 = stablehlo.convert %arg0 : (tensor<2x1x3x3x3xf32>) -> tensor<2x1x3x3x3xbf16>
    %2 = stablehlo.convolution(%0, %1) dim_numbers = [b, f, 0, 1, 2]x[o, i, 0, 1, 2]->[b, f, 0, 1, 2], window = {stride = [2, 2, 2], pad = [[1, 1], [1, 1], [1, 1]], lhs_dilate = [1, 1, 1], rhs_dilate = [1, 1, 1]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64} : (tensor<2x1x4x4x4xbf16>, tensor<2x1x3x3x3xbf16>) -> tensor<2x2x2x2x2xbf16>
    %3 = stablehlo.convert %2 : (tensor<2x2x2x2x2xbf16>) -> tensor<2x2x2x2x2xf32>
    %4 = stablehlo.convert %3 : (tensor<2x2x2x2x2xf32>) -> tensor<2x2x2x2x2xbf16>
    // norm (batchnorm)
    %5 = stablehlo.convert %4 : (tensor<2x2x2x2x2xbf16>) -> tensor<2x2x2x2x2xf32>
    %6 = stablehlo.broadcast_in_dim %arg3, dims = [1] : (tensor<2xf32>) -> tensor<2x2x2x2x2xf32>
    %7 = stablehlo.subtract %5, %6 : tensor<2x2x2x2x2xf32>
    %8 = stablehlo.constant dense<0.000000000e+00> : tensor<f32>
    %9 = stablehlo.reduce(%7 init: %8) applies stablehlo.add across dimensions = [0, 2, 3, 4] : (tensor<2x2x2x2x2xf32>, tensor<f32>) -> tensor<2xf32>
    %10 = stablehlo.constant dense<6.250000000e-02> : tensor<2xf32>
    %11 = stablehlo.multiply %9, %10 : tensor<2xf32>
    %12 = stablehlo.multiply %7, %7 : tensor<2x2x2x2x2xf32>
    %13 = stablehlo.constant dense<0.000000000e+00> : tensor<f32>
    %14 = stablehlo.reduce(%12 init: %13) applies stablehlo.add across dimensions = [0, 2, 3, 4] : (tensor<2x2x2x2x2xf32>, tensor<f32>) -> tensor<2xf32>
    %15 = stablehlo.constant dense<6.250000000e-02> : tensor<2xf32>
    %16 = stablehlo.multiply %14, %15 : tensor<2xf32>
    %17 = stablehlo.multiply %11, %11 : tensor<2xf32>
    %18 = stablehlo.subtract %16, %17 : tensor<2xf32>
    %19 = stablehlo.add %arg3, %11 : tensor<2xf32>
    %20 = stablehlo.constant dense<0.000000000e+00> : tensor<2xf32>
    %21 = stablehlo.maximum %18, %20 : tensor<2xf32>
    %22 = stablehlo.constant dense<1.000000000e+00> : tensor<2xf32>
    %23 = stablehlo.multiply %19, %22 : tensor<2xf32>
    %24 = stablehlo.subtract %23, %arg3 : tensor<2xf32>
    %25 = stablehlo.constant dense<1.000000000e-01> : tensor<2xf32>
    %26 = stablehlo.multiply %24, %25 : tensor<2xf32>
    %27 = stablehlo.add %arg3, %26 : tensor<2xf32>
    %28 = stablehlo.constant dense<1.066666667e+00> : tensor<2xf32>
    %29 = stablehlo.multiply %21, %28 : tensor<2xf32>
    %30 = stablehlo.subtract %29, %arg4 : tensor<2xf32>
    %31 = stablehlo.constant dense<1.000000000e-01> : tensor<2xf32>
    %32 = stablehlo.multiply %30, %31 : tensor<2xf32>
    %33 = stablehlo.add %arg4, %32 : tensor<2xf32>
    %34 = stablehlo.constant dense<1.000000000e+00> : tensor<f32>
    %35 = stablehlo.add %arg5, %34 : tensor<f32>
    %36 = stablehlo.constant dense<1.000000000e-05> : tensor<2xf32>
    %37 = stablehlo.add %21, %36 : tensor<2xf32>
    %38 = stablehlo.rsqrt %37 : tensor<2xf32>
    %39 = stablehlo.multiply %38, %arg1 : tensor<2xf32>
    %40 = stablehlo.broadcast_in_dim %19, dims = [1] : (tensor<2xf32>) -> tensor<2x2x2x2x2xf32>
    %41 = stablehlo.subtract %5, %40 : tensor<2x2x2x2x2xf32>
    %42 = stablehlo.broadcast_in_dim %39, dims = [1] : (tensor<2xf32>) -> tensor<2x2x2x2x2xf32>
    %43 = stablehlo.multiply %41, %42 : tensor<2x2x2x2x2xf32>
    %44 = stablehlo.broadcast_in_dim %arg2, dims = [1] : (tensor<2xf32>) -> tensor<2x2x2x2x2xf32>
    %45 = stablehlo.add %43, %44 : tensor<2x2x2x2x2xf32>
    %46 = stablehlo.convert %45 : (tensor<2x2x2x2x2xf32>) -> tensor<2x2x2x2x2xbf16>
    // act (relu)
    %47 = stablehlo.convert %46 : (tensor<2x2x2x2x2xbf16>) -> tensor<2x2x2x2x2xf32>
    %48 = stablehlo.constant dense<0.000000000e+00> : tensor<2x2x2x2x2xf32>
    %49 = stablehlo.maximum %47, %48 : tensor<2x2x2x2x2xf32>
    %50 = stablehlo.convert %49 : (tensor<2x2x2x2x2xf32>) -> tensor<2x2x2x2x2xbf16>
    // mean (avgpool)
    %51 = stablehlo.convert %50 : (tensor<2x2x2x2x2xbf16>) -> tensor<2x2x2x2x2xf32>
    %52 = stablehlo.constant dense<0.000000000e+00> : tensor<f32>
    %53 = stablehlo.reduce(%51 init: %52) applies stablehlo.add across dimensions = [2, 3, 4] : (tensor<2x2x2x2x2xf32>, tensor<f32>) -> tensor<2x2xf32>
    %54 = stablehlo.constant dense<1.250000000e-01> : tensor<2x2xf32>
    %55 = stablehlo.multiply %53, %54 : tensor<2x2xf32>
    // fc (linear)
    %56 = stablehlo.convert %55 : (tensor<2x2xf32>) -> tensor<2x2xbf16>
    %57 = stablehlo.convert %arg6 : (tensor<3x2xf32>) -> tensor<3x2xbf16>
    %58 = stablehlo.dot_general %56, %57, contracting_dims = [1] x [1] : (tensor<2x2xbf16>, tensor<3x2xbf16>) -> tensor<2x3xf32>
    %59 = stablehlo.broadcast_in_dim %arg7, dims = [1] : (tensor<3xf32>) -> tensor<2x3xf32>
    %60 = stablehlo.add %58, %59 : tensor<2x3xf32>
    // loss (ce)
    %61 = stablehlo.constant dense<-100> : tensor<2xi32>
    %62 = stablehlo.compare NE, %arg19, %61, SIGNED : (tensor<2xi32>, tensor<2xi32>) -> tensor<2xi1>
    %63 = stablehlo.convert %62 : (tensor<2xi1>) -> tensor<2xf32>
    %64 = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %65 = stablehlo.reduce(%60 init: %64) applies stablehlo.maximum across dimensions = [1] : (tensor<2x3xf32>, tensor<f32>) -> tensor<2xf32>
    %66 = stablehlo.constant dense<0xFF800000> : tensor<2xf32>
    %67 = stablehlo.compare GT, %65, %66, FLOAT : (tensor<2xf32>, tensor<2xf32>) -> tensor<2xi1>
    %68 = stablehlo.constant dense<0.000000000e+00> : tensor<2xf32>
    %69 = stablehlo.select %67, %65, %68 : tensor<2xi1>, tensor<2xf32>
    %70 = stablehlo.broadcast_in_dim %69, dims = [0] : (tensor<2xf32>) -> tensor<2x3xf32>
    %71 = stablehlo.subtract %60, %70 : tensor<2x3xf32>
    %72 = stablehlo.exponential %71 : tensor<2x3xf32>
    %73 = stablehlo.constant dense<0.000000000e+00> : tensor<f32>
    %74 = stablehlo.reduce(%72 init: %73) applies stablehlo.add across dimensions = [1] : (tensor<2x3xf32>, tensor<f32>) -> tensor<2xf32>
    %75 = stablehlo.log %74 : tensor<2xf32>
    %76 = stablehlo.broadcast_in_dim %75, dims = [0] : (tensor<2xf32>) -> tensor<2x3xf32>
    %77 = stablehlo.subtract %71, %76 : tensor<2x3xf32>
    %78 = stablehlo.iota dim = 1 : tensor<2x3xi32>
    %79 = stablehlo.broadcast_in_dim %arg19, dims = [0] : (tensor<2xi32>) -> tensor<2x3xi32>
    %80 = stablehlo.compare EQ, %78, %79, SIGNED : (tensor<2x3xi32>, tensor<2x3xi32>) -> tensor<2x3xi1>
    %81 = stablehlo.convert %80 : (tensor<2x3xi1>) -> tensor<2x3xf32>
    %82 = stablehlo.constant dense<1.000000000e+00> : tensor<2x3xf32>
    %83 = stablehlo.multiply %81, %82 : tensor<2x3xf32>
    %84 = stablehlo.constant dense<0.000000000e+00> : tensor<2x3xf32>
    %85 = stablehlo.add %83, %84 : tensor<2x3xf32>
    %86 = stablehlo.multiply %77, %85 : tensor<2x3xf32>
    %87 = stablehlo.constant dense<0.000000000e+00> : tensor<f32>
    %88 = stablehlo.reduce(%86 init: %87) applies stablehlo.add across dimensions = [1] : (tensor<2x3xf32>, tensor<f32>) -> tensor<2xf32>
    %89 = stablehlo.multiply %88, %63 : tensor<2xf32>
    %90 = stablehlo.constant dense<0.000000000e+00> : tensor<f32>
    %91 = stablehlo.reduce(%89 init: %90) applies stablehlo.add across dimensions = [0] : (tensor<2xf32>, tensor<f32>) -> tensor<f32>
    %92 = stablehlo.constant dense<-1.000000000e+00> : tensor<f32>
    %93 = stablehlo.multiply %91, %92 : tensor<f32>
    %94 = stablehlo.constant dense<0.000000000e+00> : tensor<f32>
    %95 = stablehlo.reduce(%63 init: %94) applies stablehlo.add across dimensions = [0] : (tensor<2xf32>, tensor<f32>) -> tensor<f32>
    %96 = stablehlo.constant dense<1.000000000e+00> : tensor<f32>
    %97 = stablehlo.maximum %95, %96 : tensor<f32>
    %98 = stablehlo.divide %93, %97 : tensor<f32>
    // gradients
    %99 = stablehlo.constant dense<1.000000000e+00> : tensor<f32>
    %100 = stablehlo.divide %99, %97 : tensor<f32>
    %101 = stablehlo.multiply %100, %92 : tensor<f32>
    %102 = stablehlo.broadcast_in_dim %101, dims = [] : (tensor<f32>) -> tensor<2xf32>
    %103 = stablehlo.multiply %102, %63 : tensor<2xf32>
    %104 = stablehlo.broadcast_in_dim %103, dims = [0] : (tensor<2xf32>) -> tensor<2x3xf32>
    %105 = stablehlo.multiply %104, %85 : tensor<2x3xf32>
    %106 = stablehlo.negate %105 : tensor<2x3xf32>
    %107 = stablehlo.constant dense<0.000000000e+00> : tensor<f32>
    %108 = stablehlo.reduce(%106 init: %107) applies stablehlo.add across dimensions = [1] : (tensor<2x3xf32>, tensor<f32>) -> tensor<2xf32>
    %109 = stablehlo.constant dense<1.000000000e+00> : tensor<2xf32>
    %110 = stablehlo.divide %109, %74 : tensor<2xf32>
    %111 = stablehlo.multiply %108, %110 : tensor<2xf32>
    %112 = stablehlo.broadcast_in_dim %111, dims = [0] : (tensor<2xf32>) -> tensor<2x3xf32>
    %113 = stablehlo.multiply %112, %72 : tensor<2x3xf32>
    %114 = stablehlo.add %105, %113 : tensor<2x3xf32>
    %115 = stablehlo.negate %114 : tensor<2x3xf32>
    %116 = stablehlo.constant dense<0.000000000e+00> : tensor<f32>
    %117 = stablehlo.reduce(%114 init: %116) applies stablehlo.add across dimensions = [0] : (tensor<2x3xf32>, tensor<f32>) -> tensor<3xf32>
    %118 = stablehlo.convert %114 : (tensor<2x3xf32>) -> tensor<2x3xbf16>
    %119 = stablehlo.convert %arg6 : (tensor<3x2xf32>) -> tensor<3x2xbf16>
    %120 = stablehlo.dot_general %118, %119, contracting_dims = [1] x [0] : (tensor<2x3xbf16>, tensor<3x2xbf16>) -> tensor<2x2xf32>
    %121 = stablehlo.convert %114 : (tensor<2x3xf32>) -> tensor<2x3xbf16>
    %122 = stablehlo.convert %55 : (tensor<2x2xf32>) -> tensor<2x2xbf16>
    %123 = stablehlo.dot_general %121, %122, contracting_dims = [0] x [0] : (tensor<2x3xbf16>, tensor<2x2xbf16>) -> tensor<3x2xf32>
    %124 = stablehlo.multiply %120, %54 : tensor<2x2xf32>
    %125 = stablehlo.broadcast_in_dim %124, dims = [0, 1] : (tensor<2x2xf32>) -> tensor<2x2x2x2x2xf32>
    %126 = stablehlo.convert %125 : (tensor<2x2x2x2x2xf32>) -> tensor<2x2x2x2x2xbf16>
    %127 = stablehlo.convert %126 : (tensor<2x2x2x2x2xbf16>) -> tensor<2x2x2x2x2xf32>
    %128 = stablehlo.constant dense<0.000000000e+00> : tensor<2x2x2x2x2xf32>
    %129 = stablehlo.compare GT, %49, %128, FLOAT : (tensor<2x2x2x2x2xf32>, tensor<2x2x2x2x2xf32>) -> tensor<2x2x2x2x2xi1>
    %130 = stablehlo.constant dense<0.000000000e+00> : tensor<2x2x2x2x2xf32>
    %131 = stablehlo.select %129, %127, %130 : tensor<2x2x2x2x2xi1>, tensor<2x2x2x2x2xf32>
    %132 = stablehlo.convert %131 : (tensor<2x2x2x2x2xf32>) -> tensor<2x2x2x2x2xbf16>
    %133 = stablehlo.convert %132 : (tensor<2x2x2x2x2xbf16>) -> tensor<2x2x2x2x2xf32>
    %134 = stablehlo.constant dense<0.000000000e+00> : tensor<f32>
    %135 = stablehlo.reduce(%133 init: %134) applies stablehlo.add across dimensions = [0, 2, 3, 4] : (tensor<2x2x2x2x2xf32>, tensor<f32>) -> tensor<2xf32>
    %136 = stablehlo.multiply %133, %41 : tensor<2x2x2x2x2xf32>
    %137 = stablehlo.constant dense<0.000000000e+00> : tensor<f32>
    %138 = stablehlo.reduce(%136 init: %137) applies stablehlo.add across dimensions = [0, 2, 3, 4] : (tensor<2x2x2x2x2xf32>, tensor<f32>) -> tensor<2xf32>
    %139 = stablehlo.multiply %138, %38 : tensor<2xf32>
    %140 = stablehlo.multiply %38, %38 : tensor<2xf32>
    %141 = stablehlo.multiply %138, %140 : tensor<2xf32>
    %142 = stablehlo.constant dense<6.250000000e-02> : tensor<2xf32>
    %143 = stablehlo.multiply %141, %142 : tensor<2xf32>
    %144 = stablehlo.constant dense<6.250000000e-02> : tensor<2xf32>
    %145 = stablehlo.multiply %135, %144 : tensor<2xf32>
    %146 = stablehlo.broadcast_in_dim %145, dims = [1] : (tensor<2xf32>) -> tensor<2x2x2x2x2xf32>
    %147 = stablehlo.subtract %133, %146 : tensor<2x2x2x2x2xf32>
    %148 = stablehlo.broadcast_in_dim %143, dims = [1] : (tensor<2xf32>) -> tensor<2x2x2x2x2xf32>
    %149 = stablehlo.multiply %41, %148 : tensor<2x2x2x2x2xf32>
    %150 = stablehlo.subtract %147, %149 : tensor<2x2x2x2x2xf32>
    %151 = stablehlo.broadcast_in_dim %39, dims = [1] : (tensor<2xf32>) -> tensor<2x2x2x2x2xf32>
    %152 = stablehlo.multiply %150, %151 : tensor<2x2x2x2x2xf32>
    %153 = stablehlo.convert %152 : (tensor<2x2x2x2x2xf32>) -> tensor<2x2x2x2x2xbf16>
    %154 = stablehlo.convert %153 : (tensor<2x2x2x2x2xbf16>) -> tensor<2x2x2x2x2xf32>
    %155 = stablehlo.convert %154 : (tensor<2x2x2x2x2xf32>) -> tensor<2x2x2x2x2xbf16>
    %156 = stablehlo.convolution(%0, %155) dim_numbers = [f, b, 0, 1, 2]x[i, o, 0, 1, 2]->[f, b, 0, 1, 2], window = {stride = [1, 1, 1], pad = [[1, 0], [1, 0], [1, 0]], lhs_dilate = [1, 1, 1], rhs_dilate = [2, 2, 2]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64} : (tensor<2x1x4x4x4xbf16>, tensor<2x2x2x2x2xbf16>) -> tensor<2x1x3x3x3xbf16>
    %157 = stablehlo.convert %156 : (tensor<2x1x3x3x3xbf16>) -> tensor<2x1x3x3x3xf32>
    // optimiser
    %158 = stablehlo.constant dense<0.000000000e+00> : tensor<f32>
    %159 = stablehlo.multiply %157, %157 : tensor<2x1x3x3x3xf32>
    %160 = stablehlo.constant dense<0.000000000e+00> : tensor<f32>
    %161 = stablehlo.reduce(%159 init: %160) applies stablehlo.add across dimensions = [0, 1, 2, 3, 4] : (tensor<2x1x3x3x3xf32>, tensor<f32>) -> tensor<f32>
    %162 = stablehlo.add %158, %161 : tensor<f32>
    %163 = stablehlo.multiply %139, %139 : tensor<2xf32>
    %164 = stablehlo.constant dense<0.000000000e+00> : tensor<f32>
    %165 = stablehlo.reduce(%163 init: %164) applies stablehlo.add across dimensions = [0] : (tensor<2xf32>, tensor<f32>) -> tensor<f32>
    %166 = stablehlo.add %162, %165 : tensor<f32>
    %167 = stablehlo.multiply %135, %135 : tensor<2xf32>
    %168 = stablehlo.constant dense<0.000000000e+00> : tensor<f32>
    %169 = stablehlo.reduce(%167 init: %168) applies stablehlo.add across dimensions = [0] : (tensor<2xf32>, tensor<f32>) -> tensor<f32>
    %170 = stablehlo.add %166, %169 : tensor<f32>
    %171 = stablehlo.multiply %123, %123 : tensor<3x2xf32>
    %172 = stablehlo.constant dense<0.000000000e+00> : tensor<f32>
    %173 = stablehlo.reduce(%171 init: %172) applies stablehlo.add across dimensions = [0, 1] : (tensor<3x2xf32>, tensor<f32>) -> tensor<f32>
    %174 = stablehlo.add %170, %173 : tensor<f32>
    %175 = stablehlo.multiply %117, %117 : tensor<3xf32>
    %176 = stablehlo.constant dense<0.000000000e+00> : tensor<f32>
    %177 = stablehlo.reduce(%175 init: %176) applies stablehlo.add across dimensions = [0] : (tensor<3xf32>, tensor<f32>) -> tensor<f32>
    %178 = stablehlo.add %174, %177 : tensor<f32>
    %179 = stablehlo.sqrt %178 : tensor<f32>
    %180 = stablehlo.constant dense<1.000000000e+00> : tensor<f32>
    %181 = stablehlo.constant dense<1.000000000e+00> : tensor<f32>
    %182 = stablehlo.compare GT, %179, %181, FLOAT : (tensor<f32>, tensor<f32>) -> tensor<i1>
    %183 = stablehlo.constant dense<1.000000000e-06> : tensor<f32>
    %184 = stablehlo.add %179, %183 : tensor<f32>
    %185 = stablehlo.divide %181, %184 : tensor<f32>
    %186 = stablehlo.select %182, %185, %180 : tensor<i1>, tensor<f32>
    %187 = stablehlo.broadcast_in_dim %186, dims = [] : (tensor<f32>) -> tensor<2x1x3x3x3xf32>
    %188 = stablehlo.multiply %157, %187 : tensor<2x1x3x3x3xf32>
    %189 = stablehlo.slice %arg20 [0:1] : (tensor<3xf32>) -> tensor<1xf32>
    %190 = stablehlo.reshape %189 : (tensor<1xf32>) -> tensor<f32>
    %191 = stablehlo.broadcast_in_dim %190, dims = [] : (tensor<f32>) -> tensor<2x1x3x3x3xf32>
    %192 = stablehlo.slice %arg20 [1:2] : (tensor<3xf32>) -> tensor<1xf32>
    %193 = stablehlo.reshape %192 : (tensor<1xf32>) -> tensor<f32>
    %194 = stablehlo.broadcast_in_dim %193, dims = [] : (tensor<f32>) -> tensor<2x1x3x3x3xf32>
    %195 = stablehlo.slice %arg20 [2:3] : (tensor<3xf32>) -> tensor<1xf32>
    %196 = stablehlo.reshape %195 : (tensor<1xf32>) -> tensor<f32>
    %197 = stablehlo.broadcast_in_dim %196, dims = [] : (tensor<f32>) -> tensor<2x1x3x3x3xf32>
    %198 = stablehlo.constant dense<9.000000000e-01> : tensor<2x1x3x3x3xf32>
    %199 = stablehlo.multiply %198, %arg8 : tensor<2x1x3x3x3xf32>
    %200 = stablehlo.constant dense<1.000000000e-01> : tensor<2x1x3x3x3xf32>
    %201 = stablehlo.multiply %200, %188 : tensor<2x1x3x3x3xf32>
    %202 = stablehlo.add %199, %201 : tensor<2x1x3x3x3xf32>
    %203 = stablehlo.multiply %188, %188 : tensor<2x1x3x3x3xf32>
    %204 = stablehlo.constant dense<9.990000000e-01> : tensor<2x1x3x3x3xf32>
    %205 = stablehlo.multiply %204, %arg13 : tensor<2x1x3x3x3xf32>
    %206 = stablehlo.constant dense<1.000000000e-03> : tensor<2x1x3x3x3xf32>
    %207 = stablehlo.multiply %206, %203 : tensor<2x1x3x3x3xf32>
    %208 = stablehlo.add %205, %207 : tensor<2x1x3x3x3xf32>
    %209 = stablehlo.constant dense<1.000000000e+00> : tensor<2x1x3x3x3xf32>
    %210 = stablehlo.constant dense<1.000000000e-01> : tensor<2x1x3x3x3xf32>
    %211 = stablehlo.multiply %191, %210 : tensor<2x1x3x3x3xf32>
    %212 = stablehlo.subtract %209, %211 : tensor<2x1x3x3x3xf32>
    %213 = stablehlo.sqrt %208 : tensor<2x1x3x3x3xf32>
    %214 = stablehlo.multiply %213, %197 : tensor<2x1x3x3x3xf32>
    %215 = stablehlo.constant dense<1.000000000e-08> : tensor<2x1x3x3x3xf32>
    %216 = stablehlo.add %214, %215 : tensor<2x1x3x3x3xf32>
    %217 = stablehlo.constant dense<1.000000000e+00> : tensor<2x1x3x3x3xf32>
    %218 = stablehlo.multiply %194, %217 : tensor<2x1x3x3x3xf32>
    %219 = stablehlo.multiply %218, %202 : tensor<2x1x3x3x3xf32>
    %220 = stablehlo.divide %219, %216 : tensor<2x1x3x3x3xf32>
    %221 = stablehlo.multiply %212, %arg0 : tensor<2x1x3x3x3xf32>
    %222 = stablehlo.subtract %221, %220 : tensor<2x1x3x3x3xf32>
    %223 = stablehlo.broadcast_in_dim %186, dims = [] : (tensor<f32>) -> tensor<2xf32>
    %224 = stablehlo.multiply %139, %223 : tensor<2xf32>
    %225 = stablehlo.slice %arg20 [0:1] : (tensor<3xf32>) -> tensor<1xf32>
    %226 = stablehlo.reshape %225 : (tensor<1xf32>) -> tensor<f32>
    %227 = stablehlo.broadcast_in_dim %226, dims = [] : (tensor<f32>) -> tensor<2xf32>
    %228 = stablehlo.slice %arg20 [1:2] : (tensor<3xf32>) -> tensor<1xf32>
    %229 = stablehlo.reshape %228 : (tensor<1xf32>) -> tensor<f32>
    %230 = stablehlo.broadcast_in_dim %229, dims = [] : (tensor<f32>) -> tensor<2xf32>
    %231 = stablehlo.slice %arg20 [2:3] : (tensor<3xf32>) -> tensor<1xf32>
    %232 = stablehlo.reshape %231 : (tensor<1xf32>) -> tensor<f32>
    %233 = stablehlo.broadcast_in_dim %232, dims = [] : (tensor<f32>) -> tensor<2xf32>
    %234 = stablehlo.constant dense<9.000000000e-01> : tensor<2xf32>
    %235 = stablehlo.multiply %234, %arg9 : tensor<2xf32>
    %236 = stablehlo.constant dense<1.000000000e-01> : tensor<2xf32>
    %237 = stablehlo.multiply %236, %224 : tensor<2xf32>
    %238 = stablehlo.add %235, %237 : tensor<2xf32>
    %239 = stablehlo.multiply %224, %224 : tensor<2xf32>
    %240 = stablehlo.constant dense<9.990000000e-01> : tensor<2xf32>
    %241 = stablehlo.multiply %240, %arg14 : tensor<2xf32>
    %242 = stablehlo.constant dense<1.000000000e-03> : tensor<2xf32>
    %243 = stablehlo.multiply %242, %239 : tensor<2xf32>
    %244 = stablehlo.add %241, %243 : tensor<2xf32>
    %245 = stablehlo.constant dense<1.000000000e+00> : tensor<2xf32>
    %246 = stablehlo.constant dense<1.000000000e-01> : tensor<2xf32>
    %247 = stablehlo.multiply %227, %246 : tensor<2xf32>
    %248 = stablehlo.subtract %245, %247 : tensor<2xf32>
    %249 = stablehlo.sqrt %244 : tensor<2xf32>
    %250 = stablehlo.multiply %249, %233 : tensor<2xf32>
    %251 = stablehlo.constant dense<1.000000000e-08> : tensor<2xf32>
    %252 = stablehlo.add %250, %251 : tensor<2xf32>
    %253 = stablehlo.constant dense<1.000000000e+00> : tensor<2xf32>
    %254 = stablehlo.multiply %230, %253 : tensor<2xf32>
    %255 = stablehlo.multiply %254, %238 : tensor<2xf32>
    %256 = stablehlo.divide %255, %252 : tensor<2xf32>
    %257 = stablehlo.multiply %248, %arg1 : tensor<2xf32>
    %258 = stablehlo.subtract %257, %256 : tensor<2xf32>
    %259 = stablehlo.broadcast_in_dim %186, dims = [] : (tensor<f32>) -> tensor<2xf32>
    %260 = stablehlo.multiply %135, %259 : tensor<2xf32>
    %261 = stablehlo.slice %arg20 [0:1] : (tensor<3xf32>) -> tensor<1xf32>
    %262 = stablehlo.reshape %261 : (tensor<1xf32>) -> tensor<f32>
    %263 = stablehlo.broadcast_in_dim %262, dims = [] : (tensor<f32>) -> tensor<2xf32>
    %264 = stablehlo.slice %arg20 [1:2] : (tensor<3xf32>) -> tensor<1xf32>
    %265 = stablehlo.reshape %264 : (tensor<1xf32>) -> tensor<f32>
    %266 = stablehlo.broadcast_in_dim %265, dims = [] : (tensor<f32>) -> tensor<2xf32>
    %267 = stablehlo.slice %arg20 [2:3] : (tensor<3xf32>) -> tensor<1xf32>
    %268 = stablehlo.reshape %267 : (tensor<1xf32>) -> tensor<f32>
    %269 = stablehlo.broadcast_in_dim %268, dims = [] : (tensor<f32>) -> tensor<2xf32>
    %270 = stablehlo.constant dense<9.000000000e-01> : tensor<2xf32>
    %271 = stablehlo.multiply %270, %arg10 : tensor<2xf32>
    %272 = stablehlo.constant dense<1.000000000e-01> : tensor<2xf32>
    %273 = stablehlo.multiply %272, %260 : tensor<2xf32>
    %274 = stablehlo.add %271, %273 : tensor<2xf32>
    %275 = stablehlo.multiply %260, %260 : tensor<2xf32>
    %276 = stablehlo.constant dense<9.990000000e-01> : tensor<2xf32>
    %277 = stablehlo.multiply %276, %arg15 : tensor<2xf32>
    %278 = stablehlo.constant dense<1.000000000e-03> : tensor<2xf32>
    %279 = stablehlo.multiply %278, %275 : tensor<2xf32>
    %280 = stablehlo.add %277, %279 : tensor<2xf32>
    %281 = stablehlo.constant dense<1.000000000e+00> : tensor<2xf32>
    %282 = stablehlo.constant dense<1.000000000e-01> : tensor<2xf32>
    %283 = stablehlo.multiply %263, %282 : tensor<2xf32>
    %284 = stablehlo.subtract %281, %283 : tensor<2xf32>
    %285 = stablehlo.sqrt %280 : tensor<2xf32>
    %286 = stablehlo.multiply %285, %269 : tensor<2xf32>
    %287 = stablehlo.constant dense<1.000000000e-08> : tensor<2xf32>
    %288 = stablehlo.add %286, %287 : tensor<2xf32>
    %289 = stablehlo.constant dense<1.000000000e+00> : tensor<2xf32>
    %290 = stablehlo.multiply %266, %289 : tensor<2xf32>
    %291 = stablehlo.multiply %290, %274 : tensor<2xf32>
    %292 = stablehlo.divide %291, %288 : tensor<2xf32>
    %293 = stablehlo.multiply %284, %arg2 : tensor<2xf32>
    %294 = stablehlo.subtract %293, %292 : tensor<2xf32>
    %295 = stablehlo.broadcast_in_dim %186, dims = [] : (tensor<f32>) -> tensor<3x2xf32>
    %296 = stablehlo.multiply %123, %295 : tensor<3x2xf32>
    %297 = stablehlo.slice %arg20 [0:1] : (tensor<3xf32>) -> tensor<1xf32>
    %298 = stablehlo.reshape %297 : (tensor<1xf32>) -> tensor<f32>
    %299 = stablehlo.broadcast_in_dim %298, dims = [] : (tensor<f32>) -> tensor<3x2xf32>
    %300 = stablehlo.slice %arg20 [1:2] : (tensor<3xf32>) -> tensor<1xf32>
    %301 = stablehlo.reshape %300 : (tensor<1xf32>) -> tensor<f32>
    %302 = stablehlo.broadcast_in_dim %301, dims = [] : (tensor<f32>) -> tensor<3x2xf32>
    %303 = stablehlo.slice %arg20 [2:3] : (tensor<3xf32>) -> tensor<1xf32>
    %304 = stablehlo.reshape %303 : (tensor<1xf32>) -> tensor<f32>
    %305 = stablehlo.broadcast_in_dim %304, dims = [] : (tensor<f32>) -> tensor<3x2xf32>
    %306 = stablehlo.constant dense<9.000000000e-01> : tensor<3x2xf32>
    %307 = stablehlo.multiply %306, %arg11 : tensor<3x2xf32>
    %308 = stablehlo.constant dense<1.000000000e-01> : tensor<3x2xf32>
    %309 = stablehlo.multiply %308, %296 : tensor<3x2xf32>
    %310 = stablehlo.add %307, %309 : tensor<3x2xf32>
    %311 = stablehlo.multiply %296, %296 : tensor<3x2xf32>
    %312 = stablehlo.constant dense<9.990000000e-01> : tensor<3x2xf32>
    %313 = stablehlo.multiply %312, %arg16 : tensor<3x2xf32>
    %314 = stablehlo.constant dense<1.000000000e-03> : tensor<3x2xf32>
    %315 = stablehlo.multiply %314, %311 : tensor<3x2xf32>
    %316 = stablehlo.add %313, %315 : tensor<3x2xf32>
    %317 = stablehlo.constant dense<1.000000000e+00> : tensor<3x2xf32>
    %318 = stablehlo.constant dense<1.000000000e-01> : tensor<3x2xf32>
    %319 = stablehlo.multiply %299, %318 : tensor<3x2xf32>
    %320 = stablehlo.subtract %317, %319 : tensor<3x2xf32>
    %321 = stablehlo.sqrt %316 : tensor<3x2xf32>
    %322 = stablehlo.multiply %321, %305 : tensor<3x2xf32>
    %323 = stablehlo.constant dense<1.000000000e-08> : tensor<3x2xf32>
    %324 = stablehlo.add %322, %323 : tensor<3x2xf32>
    %325 = stablehlo.constant dense<1.000000000e+00> : tensor<3x2xf32>
    %326 = stablehlo.multiply %302, %325 : tensor<3x2xf32>
    %327 = stablehlo.multiply %326, %310 : tensor<3x2xf32>
    %328 = stablehlo.divide %327, %324 : tensor<3x2xf32>
    %329 = stablehlo.multiply %320, %arg6 : tensor<3x2xf32>
    %330 = stablehlo.subtract %329, %328 : tensor<3x2xf32>
    %331 = stablehlo.broadcast_in_dim %186, dims = [] : (tensor<f32>) -> tensor<3xf32>
    %332 = stablehlo.multiply %117, %331 : tensor<3xf32>
    %333 = stablehlo.slice %arg20 [0:1] : (tensor<3xf32>) -> tensor<1xf32>
    %334 = stablehlo.reshape %333 : (tensor<1xf32>) -> tensor<f32>
    %335 = stablehlo.broadcast_in_dim %334, dims = [] : (tensor<f32>) -> tensor<3xf32>
    %336 = stablehlo.slice %arg20 [1:2] : (tensor<3xf32>) -> tensor<1xf32>
    %337 = stablehlo.reshape %336 : (tensor<1xf32>) -> tensor<f32>
    %338 = stablehlo.broadcast_in_dim %337, dims = [] : (tensor<f32>) -> tensor<3xf32>
    %339 = stablehlo.slice %arg20 [2:3] : (tensor<3xf32>) -> tensor<1xf32>
    %340 = stablehlo.reshape %339 : (tensor<1xf32>) -> tensor<f32>
    %341 = stablehlo.broadcast_in_dim %340, dims = [] : (tensor<f32>) -> tensor<3xf32>
    %342 = stablehlo.constant dense<9.000000000e-01> : tensor<3xf32>
    %343 = stablehlo.multiply %342, %arg12 : tensor<3xf32>
    %344 = stablehlo.constant dense<1.000000000e-01> : tensor<3xf32>
    %345 = stablehlo.multiply %344, %332 : tensor<3xf32>
    %346 = stablehlo.add %343, %345 : tensor<3xf32>
    %347 = stablehlo.multiply %332, %332 : tensor<3xf32>
    %348 = stablehlo.constant dense<9.990000000e-01> : tensor<3xf32>
    %349 = stablehlo.multiply %348, %arg17 : tensor<3xf32>
    %350 = stablehlo.constant dense<1.000000000e-03> : tensor<3xf32>
    %351 = stablehlo.multiply %350, %347 : tensor<3xf32>
    %352 = stablehlo.add %349, %351 : tensor<3xf32>
    %353 = stablehlo.constant dense<1.000000000e+00> : tensor<3xf32>
    %354 = stablehlo.constant dense<1.000000000e-01> : tensor<3xf32>
    %355 = stablehlo.multiply %335, %354 : tensor<3xf32>
    %356 = stablehlo.subtract %353, %355 : tensor<3xf32>
    %357 = stablehlo.sqrt %352 : tensor<3xf32>
    %358 = stablehlo.multiply %357, %341 : tensor<3xf32>
    %359 = stablehlo.constant dense<1.000000000e-08> : tensor<3xf32>
    %360 = stablehlo.add %358, %359 : tensor<3xf32>
    %361 = stablehlo.constant dense<1.000000000e+00> : tensor<3xf32>
    %362 = stablehlo.multiply %338, %361 : tensor<3xf32>
    %363 = stablehlo.multiply %362, %346 : tensor<3xf32>
    %364 = stablehlo.divide %363, %360 : tensor<3xf32>
    %365 = stablehlo.multiply %356, %arg7 : tensor<3xf32>
    %366 = stablehlo.subtract %365, %364 : tensor<3xf32>
    return %98, %179, %157, %139, %135, %123, %117, %222, %202, %208, %258, %238, %244, %294, %274, %280, %330, %310, %316, %366, %346, %352, %27, %33, %35 : tensor<f32>, tensor<f32>, tensor<2x1x3x3x3xf32>, tensor<2xf32>, tensor<2xf32>, tensor<3x2xf32>, tensor<3xf32>, tensor<2x1x3x3x3xf32>, tensor<2x1x3x3x3xf32>, tensor<2x1x3x3x3xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<3x2xf32>, tensor<3x2xf32>, tensor<3x2xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<2xf32>, tensor<2xf32>, tensor<f32>
  }
}
